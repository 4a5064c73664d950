#include "host/faults/async_timer.h"

#include <boost/asio/this_coro.hpp>

#include "runtime/cancellation.h"

namespace nsrun {

Task<> AsyncTimer::wait_until(Clock::time_point when) {
  timer_.expires_at(when);
  co_await timer_.async_wait(use_result);
  unwind_if_cancelled(co_await asio::this_coro::cancellation_state);
}

}  // namespace nsrun
