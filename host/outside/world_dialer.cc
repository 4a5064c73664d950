#include "host/outside/world_dialer.h"

#include "host/dialers/direct_dialer.h"

namespace nsrun {
namespace {

std::unique_ptr<Dialer> usual_dialer(Executor executor, const DialerFactory& usual, UdpMappings* mappings) {
  if (usual) return usual(executor);
  return std::make_unique<DirectDialer>(executor, mappings);
}

}  // namespace

WorldDialer::WorldDialer(Executor executor, const DialerFactory& usual, Scope& flows, Counters& totals,
                         UdpMappings* mappings)
    : usual_(usual_dialer(executor, usual, mappings)),
      via_(executor, *usual_),
      loopback_(via_),
      faults_(flows, loopback_, totals) {}

}  // namespace nsrun
