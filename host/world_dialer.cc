#include "host/world_dialer.h"

#include "host/dialers/direct_dialer.h"

namespace nsrun {
namespace {

std::unique_ptr<Dialer> usual_dialer(Executor executor, const HostOptions& options) {
  if (options.dialer) return options.dialer(executor);
  return std::make_unique<DirectDialer>(executor);
}

}  // namespace

WorldDialer::WorldDialer(Executor executor, const HostOptions& options, Scope& flows, Counters& totals)
    : usual_(usual_dialer(executor, options)), via_(executor, *usual_), faults_(flows, via_, totals) {}

}  // namespace nsrun
