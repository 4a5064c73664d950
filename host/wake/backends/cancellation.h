#pragma once

#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include "runtime/task.h"

namespace nsrun {

// What a cancellation broke off has not failed: to be awaited before an error is made of it.
inline Task<> unwind_if_cancelled() {
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none)
    throw boost::system::system_error(asio::error::operation_aborted);
}

}  // namespace nsrun
