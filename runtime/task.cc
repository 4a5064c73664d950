#include "runtime/task.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>

namespace nsrun {
namespace {

// What an escaped exception says; empty for cancellation, which is how tasks are meant to end early.
std::string describe(const std::exception_ptr& failure) {
  if (!failure) return {};
  try {
    std::rethrow_exception(failure);
  } catch (const boost::system::system_error& error) {
    return error.code() == asio::error::operation_aborted ? std::string{} : error.what();
  } catch (const asio::multiple_exceptions&) {
    return {};
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace

Scope::Scope(Executor executor, Report report)
    : executor_(executor), report_(std::move(report)), empty_(executor, Clock::time_point::max()) {}

Scope::~Scope() {
  if (children_.empty() || executor_.context().stopped()) return;
  std::fputs("nsrun: a Scope was destroyed before its tasks ended\n", stderr);
  std::abort();
}

void Scope::spawn(Task<> task) {
  const auto child = children_.emplace(children_.end());
  auto ended = [this, child](std::exception_ptr failure) {
    children_.erase(child);
    if (children_.empty()) empty_.cancel();
    const auto what = describe(failure);
    if (!what.empty() && report_) report_(what);
  };
  asio::co_spawn(executor_, std::move(task),
                 asio::bind_cancellation_slot(child->cancellation.slot(), std::move(ended)));
}

void Scope::cancel() {
  // Emitting may end a child at once, which erases it: step first.
  for (auto child = children_.begin(); child != children_.end();)
    (child++)->cancellation.emit(asio::cancellation_type::terminal);
}

Task<> Scope::join() {
  while (!children_.empty()) co_await empty_.async_wait(use_result);
}

Task<> Scope::cancel_and_join() {
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  cancel();
  co_await join();
}

Task<> Signal::wait() {
  while (!raised_) {
    co_await timer_.async_wait(use_result);
    // The timer never expires: either it was raised, or this task was cancelled.
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none)
      throw boost::system::system_error(asio::error::operation_aborted);
  }
  raised_ = false;
}

Task<> both(Task<> first, Task<> second) {
  using namespace asio::experimental::awaitable_operators;
  try {
    co_await (std::move(first) && std::move(second));
  } catch (const asio::multiple_exceptions& failures) {
    std::rethrow_exception(failures.first_exception());
  }
}

Task<bool> either(Task<> first, Task<> second) {
  using namespace asio::experimental::awaitable_operators;
  try {
    const auto ended = co_await (std::move(first) || std::move(second));
    co_return ended.index() == 0;
  } catch (const asio::multiple_exceptions& failures) {
    std::rethrow_exception(failures.first_exception());
  }
}

Task<> sleep_for(Clock::duration duration) {
  Timer timer(co_await asio::this_coro::executor, duration);
  co_await timer.async_wait(use_task);
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
