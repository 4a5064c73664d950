#pragma once

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

namespace nsrun {

// What a cancellation broke off has not failed: before an error is made of it,
//   unwind_if_cancelled(co_await asio::this_coro::cancellation_state);
inline void unwind_if_cancelled(const boost::asio::cancellation_state& task) {
  if (task.cancelled() != boost::asio::cancellation_type::none)
    throw boost::system::system_error(boost::asio::error::operation_aborted);
}

}  // namespace nsrun
