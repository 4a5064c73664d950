#include "tests/support/dialers_loop.h"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <stdexcept>

namespace nsrun::test {
namespace {

constexpr auto limit = 60s;

Task<> run_and_end(Task<> body, Scope& beside) {
  std::exception_ptr failure;
  try {
    co_await std::move(body);
  } catch (...) {
    failure = std::current_exception();
  }
  co_await beside.cancel_and_join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

void Loop::run(Task<> body) {
  bool ended = false;
  std::exception_ptr failure;
  asio::co_spawn(context, run_and_end(std::move(body), beside), [&](std::exception_ptr thrown) {
    ended = true;
    failure = thrown;
  });
  context.restart();
  context.run_for(limit);
  if (failure) std::rethrow_exception(failure);
  if (ended) return;
  context.stop();
  throw std::runtime_error("the test did not end within its limit");
}

Task<> give_way() { co_await asio::post(co_await asio::this_coro::executor, use_task); }

}  // namespace nsrun::test
