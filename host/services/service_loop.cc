#include "host/services/service_loop.h"

namespace nsrun {
namespace {

using SteadyClock = std::chrono::steady_clock;

bool look_on(boost::asio::io_context& context, IdleSpin::Duration budget) {
  const auto since = SteadyClock::now();
  while (SteadyClock::now() - since < budget)
    if (context.poll() > 0) return true;
  return false;
}

}  // namespace

void run_until(boost::asio::io_context& context, Latency latency, const std::function<bool()>& done) {
  IdleSpin spin(latency, usable_processors());
  while (!done()) {
    if (context.poll() > 0) continue;
    const auto since = SteadyClock::now();
    const bool found = look_on(context, spin.budget());
    if (!found) context.run_one();
    spin.paused(SteadyClock::now() - since, !found);
  }
}

}  // namespace nsrun
