#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>

namespace nsrun {

// Cancels one task that co_spawn starts, at any time: before the task first runs, or while it runs without
// having waited once. A plain cancellation_signal cannot, up to Boost 1.83 at least: Asio's entry point then
// throws outside of its own handler, so the completion handler is never called, and the exception leaves
// io_context::run() (tests/assumptions/asio_test.cc). Used on the task's own loop alone, or before that loop
// runs. Outlives the task.
class TaskCancellation {
 public:
  template <class T = void>
  using Task = boost::asio::awaitable<T, boost::asio::io_context::executor_type>;

  // The task to spawn in place of `task`, with slot() bound to its completion handler.
  Task<> guard(Task<> task);
  // A task that has not run yet ends without running.
  void cancel();

  boost::asio::cancellation_slot slot() { return signal_.slot(); }
  // For the task itself, and for those who know that it has started.
  boost::asio::cancellation_signal& signal() { return signal_; }

 private:
  boost::asio::cancellation_signal signal_;
  bool started_ = false, cancelled_ = false;
};

}  // namespace nsrun
