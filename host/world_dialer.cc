#include "host/world_dialer.h"

#include "host/dialers/direct_dialer.h"

namespace nsrun {
namespace {

std::unique_ptr<Dialer> usual_dialer(Executor executor, const DialerFactory& usual) {
  if (usual) return usual(executor);
  return std::make_unique<DirectDialer>(executor);
}

}  // namespace

WorldDialer::WorldDialer(Executor executor, const DialerFactory& usual, Scope& flows, Counters& totals)
    : usual_(usual_dialer(executor, usual)), via_(executor, *usual_), faults_(flows, via_, totals) {}

}  // namespace nsrun
