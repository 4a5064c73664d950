#include "host/faults/alarm.h"

#include <boost/asio/this_coro.hpp>

namespace nsrun {

Task<> Alarm::wait_until(Clock::time_point when) {
  timer_.expires_at(when);
  co_await timer_.async_wait(use_result);
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none)
    throw boost::system::system_error(asio::error::operation_aborted);
}

}  // namespace nsrun
