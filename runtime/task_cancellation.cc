#include "runtime/task_cancellation.h"

#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>
#include <exception>

namespace nsrun {

namespace asio = boost::asio;

TaskCancellation::Task<> TaskCancellation::guard(Task<> task) {
  started_ = true;
  std::exception_ptr failure;
  try {
    if (cancelled_) throw boost::system::system_error(asio::error::operation_aborted);
    co_await std::move(task);
  } catch (...) {
    failure = std::current_exception();
  }
  // Asio's entry point waits once more before it calls the handler, and a cancelled task may not throw there.
  co_await asio::this_coro::throw_if_cancelled(false);
  if (failure) std::rethrow_exception(failure);
}

void TaskCancellation::cancel() {
  if (started_)
    signal_.emit(asio::cancellation_type::terminal);
  else
    cancelled_ = true;
}

}  // namespace nsrun
