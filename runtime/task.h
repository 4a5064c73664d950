#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/result.h"
#include "runtime/task_cancellation.h"

// Coroutines and who owns them. What runs on one io_context is driven by one thread.

namespace nsrun {

namespace asio = boost::asio;
using namespace std::chrono_literals;

using Executor = asio::io_context::executor_type;
using Clock = std::chrono::steady_clock;

template <class T = void>
using Task = asio::awaitable<T, Executor>;

// co_await some_asio_operation(..., use_task): the result, or an exception (cancellation unwinds).
inline constexpr asio::use_awaitable_t<Executor> use_task;
// auto [error, n] = co_await some_asio_operation(..., use_result): expected failures as values.
inline constexpr auto use_result = asio::as_tuple(use_task);

using Timer = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor>;
using Descriptor = asio::posix::basic_stream_descriptor<Executor>;

// Owns tasks: each ends before the scope does. A task that ends with an exception other than cancellation
// is reported and takes nobody with it.
class Scope {
 public:
  using Report = std::function<void(const std::string& what)>;
  // `report` hears of exceptions that escape a task: none should.
  explicit Scope(Executor executor, Report report = {});
  ~Scope();  // every task must have ended: co_await cancel_and_join() first
  Scope(const Scope&) = delete;

  void spawn(Task<> task);
  // The task that `begin(cancel)` makes; `cancel` ends it, as long as it lives.
  template <class Begin>
  void spawn_cancellable(Begin begin) {
    const auto child = add();
    start(child, begin(child->cancellation.signal()));
  }
  void cancel();             // each task unwinds with operation_aborted, when it next runs
  Task<> join();             // until no task is left
  Task<> cancel_and_join();  // to the end even when the caller is cancelled meanwhile
  std::size_t size() const { return children_.size(); }
  Executor executor() const { return executor_; }

 private:
  struct Child {
    TaskCancellation cancellation;
  };
  using Place = std::list<Child>::iterator;
  Place add() { return children_.emplace(children_.end()); }
  void start(Place child, Task<> task);

  Executor executor_;
  Report report_;
  std::list<Child> children_;
  Timer empty_;  // never expires; cancelled when the last child ends
};

// A condition one task waits for and another (or a callback) raises. Raising it with nobody waiting is
// remembered once, so a wait after a raise returns at once.
class Signal {
 public:
  explicit Signal(Executor executor) : timer_(executor, Clock::time_point::max()) {}
  void raise() {
    raised_ = true;
    timer_.cancel();
  }
  Task<> wait();  // throws operation_aborted when the waiting task is cancelled

 private:
  Timer timer_;
  bool raised_ = false;
};

// Both to their end, at once. When one throws, the other is cancelled and awaited, and that one's is thrown.
Task<> both(Task<> first, Task<> second);
// Until one of them ends, or throws; the other is cancelled and awaited. True when the first one ended first.
Task<bool> either(Task<> first, Task<> second);
// The same of any number of tasks. wait_any is given at least one, and says which ended first.
Task<> wait_all(std::vector<Task<>> tasks);
Task<std::size_t> wait_any(std::vector<Task<>> tasks);
template <class... More>
Task<std::size_t> wait_any(Task<> first, More... more) {
  std::vector<Task<>> tasks;
  tasks.push_back(std::move(first));
  (tasks.push_back(std::move(more)), ...);
  return wait_any(std::move(tasks));
}
// The task's value, or nothing when `limit` passed first (the task is then cancelled).
template <class T>
Task<std::optional<T>> within(Clock::duration limit, Task<T> task);

Task<> sleep_for(Clock::duration duration);
// The task on another loop, to its end: a cancellation of the caller is passed on to it, and thrown at the
// caller's next wait.
Task<> run_on(asio::io_context& other, Task<> task);

// Waits until `descriptor` can be read or written. False when it was closed or cancelled.
Task<bool> readable(Descriptor& descriptor);
Task<bool> writable(Descriptor& descriptor);

// ---- implementation of the template

namespace detail {
template <class T>
Task<> keep(std::optional<T>& value, Task<T> task) {
  value = co_await std::move(task);
}
}  // namespace detail

template <class T>
Task<std::optional<T>> within(Clock::duration limit, Task<T> task) {
  std::optional<T> value;
  co_await either(detail::keep(value, std::move(task)), sleep_for(limit));
  co_return value;
}

}  // namespace nsrun
