#include "runtime/task.h"

#include <array>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "runtime/cancellation.h"

namespace nsrun {
namespace {

// What an escaped exception says; empty for cancellation, which is how tasks are meant to end early.
std::string describe(const std::exception_ptr& failure) {
  if (!failure) return {};
  try {
    std::rethrow_exception(failure);
  } catch (const boost::system::system_error& error) {
    return error.code() == asio::error::operation_aborted ? std::string{} : error.what();
  } catch (const std::exception& error) {
    return error.what();
  }
}

namespace parallel = asio::experimental;

// Asio's awaitable operators know only success: their || waits on when one task has failed, and their && may
// name the cancellation it caused as the failure. The order of the ends tells the cause.
template <class Order, class Failures>
std::size_t first_to_end(const Order& order, const Failures& failures) {
  if (failures[order[0]]) std::rethrow_exception(failures[order[0]]);
  return order[0];
}
template <class Order, class Failures>
void all_ended(const Order& order, const Failures& failures) {
  for (const auto task : order)
    if (failures[task]) std::rethrow_exception(failures[task]);
}

using Failures = std::array<std::exception_ptr, 2>;

// Two tasks need no list, and are most of what there is.
auto pair_of(const Executor& executor, Task<> first, Task<> second) {
  return parallel::make_parallel_group(asio::co_spawn(executor, std::move(first), asio::deferred),
                                       asio::co_spawn(executor, std::move(second), asio::deferred));
}
auto list_of(const Executor& executor, std::vector<Task<>> tasks) {
  std::vector<decltype(asio::co_spawn(executor, std::declval<Task<>>(), asio::deferred))> started;
  for (auto& task : tasks) started.push_back(asio::co_spawn(executor, std::move(task), asio::deferred));
  return parallel::make_parallel_group(std::move(started));
}

}  // namespace

Scope::Scope(Executor executor, Report report)
    : executor_(executor), report_(std::move(report)), empty_(executor, Clock::time_point::max()) {}

Scope::~Scope() {
  if (children_.empty() || executor_.context().stopped()) return;
  std::fputs("nsrun: a Scope was destroyed before its tasks ended\n", stderr);
  std::abort();
}

void Scope::spawn(Task<> task) { start(add(), std::move(task)); }

void Scope::start(Place child, Task<> task) {
  auto ended = [this, child](std::exception_ptr failure) {
    children_.erase(child);
    if (children_.empty()) empty_.cancel();
    const auto what = describe(failure);
    if (!what.empty() && report_) report_(what);
  };
  asio::co_spawn(executor_, child->cancellation.guard(std::move(task)),
                 asio::bind_cancellation_slot(child->cancellation.slot(), std::move(ended)));
}

void Scope::cancel() {
  // Emitting may end a child at once, which erases it: step first.
  for (auto child = children_.begin(); child != children_.end();) (child++)->cancellation.cancel();
}

Task<> Scope::join() {
  while (!children_.empty()) co_await empty_.async_wait(use_result);
}

Task<> Scope::cancel_and_join() {
  // The caller's own cancellation must not cut this short, nor be lost by it: it is thrown at the caller's
  // next wait. The setting belongs to the caller's whole chain of coroutines, hence put back.
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  cancel();
  while (!children_.empty()) co_await empty_.async_wait(use_result);
  co_await asio::this_coro::throw_if_cancelled(throws);
}

Task<> Signal::wait() {
  while (!raised_) {
    co_await timer_.async_wait(use_result);
    // The timer never expires: either it was raised, or this task was cancelled.
    unwind_if_cancelled(co_await asio::this_coro::cancellation_state);
  }
  raised_ = false;
}

Task<> both(Task<> first, Task<> second) {
  auto pair = pair_of(co_await asio::this_coro::executor, std::move(first), std::move(second));
  const auto [order, one, other] = co_await pair.async_wait(parallel::wait_for_one_error(), use_task);
  all_ended(order, Failures{one, other});
}

Task<bool> either(Task<> first, Task<> second) {
  auto pair = pair_of(co_await asio::this_coro::executor, std::move(first), std::move(second));
  const auto [order, one, other] = co_await pair.async_wait(parallel::wait_for_one(), use_task);
  co_return first_to_end(order, Failures{one, other}) == 0;
}

Task<> wait_all(std::vector<Task<>> tasks) {
  if (tasks.empty()) co_return;
  auto list = list_of(co_await asio::this_coro::executor, std::move(tasks));
  const auto [order, failures] = co_await list.async_wait(parallel::wait_for_one_error(), use_task);
  all_ended(order, failures);
}

Task<std::size_t> wait_any(std::vector<Task<>> tasks) {
  auto list = list_of(co_await asio::this_coro::executor, std::move(tasks));
  const auto [order, failures] = co_await list.async_wait(parallel::wait_for_one(), use_task);
  co_return first_to_end(order, failures);
}

Task<> sleep_for(Clock::duration duration) {
  Timer timer(co_await asio::this_coro::executor, duration);
  co_await timer.async_wait(use_task);
}

Task<> run_on(asio::io_context& other, Task<> task) {
  const Executor home = co_await asio::this_coro::executor;
  Timer ended(home, Clock::time_point::max());
  std::optional<std::exception_ptr> end;
  auto note_end = [&, home](std::exception_ptr failure) {
    asio::post(home, [&, failure] {
      end = failure;
      ended.cancel();
    });
  };
  // Shared: the task may have ended by the time its cancellation gets there.
  const auto cancellation = std::make_shared<TaskCancellation>();
  asio::co_spawn(other, cancellation->guard(std::move(task)),
                 asio::bind_cancellation_slot(cancellation->slot(), std::move(note_end)));
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  while (!end) {
    co_await ended.async_wait(use_result);
    // The timer never expires: either the task has ended, or the caller was cancelled.
    if (!end) asio::post(other, [cancellation] { cancellation->cancel(); });
  }
  co_await asio::this_coro::throw_if_cancelled(throws);
  if (*end) std::rethrow_exception(*end);
}

Task<bool> readable(Descriptor& descriptor) {
  const auto [error] = co_await descriptor.async_wait(Descriptor::wait_read, use_result);
  co_return !error;
}

Task<bool> writable(Descriptor& descriptor) {
  const auto [error] = co_await descriptor.async_wait(Descriptor::wait_write, use_result);
  co_return !error;
}

}  // namespace nsrun
