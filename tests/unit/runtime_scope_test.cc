#include <stdexcept>
#include <vector>
#include "tests/support/catch.h"

#include "runtime/task.h"
#include "tests/support/dialers_loop.h"

using namespace nsrun;

namespace {

constexpr auto never_ends = 10min;

// Counts itself for as long as it lives, however it ends.
struct Alive {
  explicit Alive(int& count) : count_(count) { ++count_; }
  ~Alive() { --count_; }
  Alive(const Alive&) = delete;

 private:
  int& count_;
};

Task<> live(int& count) {
  const Alive alive(count);
  co_await sleep_for(never_ends);
}

Task<> fail() {
  co_await test::give_way();
  throw std::runtime_error("broken");
}

// Takes a few turns of the loop to unwind, as a task with something to say on its way out does.
Task<> unwind_slowly(int& count) {
  const Alive alive(count);
  co_await asio::this_coro::throw_if_cancelled(false);
  co_await Timer(co_await asio::this_coro::executor, never_ends).async_wait(use_result);
  for (int turn = 0; turn < 3; ++turn) co_await test::give_way();
}

Task<> cancel_and_count(Scope& scope, int& count, int& left) {
  co_await test::give_way();
  co_await scope.cancel_and_join();
  left = count;
}

Task<> cancel_at_once(Scope& scope) {
  scope.cancel();
  co_return;
}

Task<> raise_after_a_turn(Signal& signal) {
  co_await test::give_way();
  signal.raise();
}

}  // namespace

TEST_CASE("a scope's tasks have all ended once it is cancelled and joined") {
  test::Loop loop;
  Scope scope(loop.executor());
  int alive = 0, left = -1;
  for (int i = 0; i < 3; ++i) scope.spawn(live(alive));
  scope.spawn(unwind_slowly(alive));
  CHECK(scope.size() == 4);
  loop.run(cancel_and_count(scope, alive, left));
  CHECK(left == 0);
  CHECK(scope.size() == 0);
}

TEST_CASE("a task that is cancelled before it first ran ends all the same") {
  test::Loop loop;
  Scope scope(loop.executor());
  int alive = 0;
  scope.spawn(live(alive));
  scope.cancel();
  loop.run(scope.join());
  CHECK(alive == 0);
}

TEST_CASE("a task that throws is reported and takes nobody with it") {
  test::Loop loop;
  std::vector<std::string> reports;
  Scope scope(loop.executor(), [&](const std::string& what) { reports.push_back(what); });
  int alive = 0, left = -1;
  scope.spawn(fail());
  scope.spawn(live(alive));
  const auto body = [](Scope& tasks, int& count, int& still, int& after) -> Task<> {
    while (tasks.size() == 2) co_await test::give_way();
    still = count;
    co_await cancel_and_count(tasks, count, after);
  };
  int still = 0;
  loop.run(body(scope, alive, still, left));
  CHECK(still == 1);
  CHECK(left == 0);
  CHECK(reports == std::vector<std::string>{"broken"});
}

TEST_CASE("cancellation is not reported") {
  test::Loop loop;
  int reports = 0, alive = 0, left = -1;
  Scope scope(loop.executor(), [&](const std::string&) { ++reports; });
  scope.spawn(live(alive));
  scope.spawn(both(live(alive), live(alive)));
  loop.run(cancel_and_count(scope, alive, left));
  CHECK(left == 0);
  CHECK(reports == 0);
}

TEST_CASE("a task that ended its own scope can still be cancelled") {
  test::Loop loop;
  Scope outer(loop.executor());
  int alive = 0;
  bool lived_on = false;
  const auto inner = [](int& count, bool& outlived) -> Task<> {
    Scope scope(co_await asio::this_coro::executor);
    scope.spawn(live(count));
    co_await test::give_way();
    co_await scope.cancel_and_join();
    co_await live(count);
    outlived = true;
  };
  outer.spawn(inner(alive, lived_on));
  const auto body = [](Scope& tasks, int& count) -> Task<> {
    for (int turn = 0; turn < 20; ++turn) co_await test::give_way();
    CHECK(count == 1);
    // Not cancel_and_join: a task that cannot be cancelled would hold the test, not fail it.
    tasks.cancel();
    for (int turn = 0; turn < 20; ++turn) co_await test::give_way();
    CHECK(tasks.size() == 0);
  };
  loop.run(body(outer, alive));
  CHECK_FALSE(lived_on);
}

TEST_CASE(
    "cancelling a task that is ending its own scope waits for that scope's tasks, and still cancels it") {
  test::Loop loop;
  Scope outer(loop.executor());
  int alive = 0, left = -1;
  bool lived_on = false;
  const auto inner = [](int& count, int& remaining, bool& outlived) -> Task<> {
    Scope scope(co_await asio::this_coro::executor);
    scope.spawn(unwind_slowly(count));
    co_await test::give_way();
    co_await scope.cancel_and_join();
    remaining = count;
    co_await test::give_way();
    outlived = true;
  };
  outer.spawn(inner(alive, left, lived_on));
  const auto body = [](Scope& tasks) -> Task<> {
    for (int turn = 0; turn < 3; ++turn) co_await test::give_way();
    co_await tasks.cancel_and_join();
  };
  loop.run(body(outer));
  CHECK(left == 0);
  CHECK_FALSE(lived_on);
}

TEST_CASE("a scope may go after its loop was stopped with tasks in it") {
  int alive = 0;
  asio::io_context context;
  {
    Scope scope(context.get_executor());
    scope.spawn(live(alive));
    context.poll();
    context.stop();
  }
  CHECK(alive == 1);  // the frame goes with the loop
}

TEST_CASE("a signal raised with nobody waiting is remembered, once") {
  test::Loop loop;
  Signal signal(loop.executor());
  signal.raise();
  signal.raise();
  bool again = true;
  const auto body = [](Signal& condition, bool& second) -> Task<> {
    co_await condition.wait();
    second = co_await either(condition.wait(), test::give_way());
  };
  loop.run(body(signal, again));
  CHECK_FALSE(again);
}

TEST_CASE("a signal wakes the task that waits") {
  test::Loop loop;
  Signal signal(loop.executor());
  loop.run(both(signal.wait(), raise_after_a_turn(signal)));
}

TEST_CASE("a task that is cancelled before it first ran ends without running") {
  asio::io_context context;
  Scope scope(context.get_executor());
  int alive = 0;
  scope.spawn(live(alive));
  scope.cancel();
  context.run();
  CHECK(scope.size() == 0);
  CHECK(alive == 0);
}

TEST_CASE("a task that cancels its own scope and then ends at once has ended") {
  asio::io_context context;
  Scope scope(context.get_executor());
  scope.spawn(cancel_at_once(scope));
  context.run();
  CHECK(scope.size() == 0);
}

TEST_CASE("a task on another loop that is cancelled before it first ran has ended there") {
  asio::io_context home, other;
  Scope scope(home.get_executor());
  int alive = 0;
  scope.spawn(run_on(other, live(alive)));
  home.poll();  // the task waits in the other loop's queue, which nobody has run yet
  scope.cancel();
  home.poll();
  other.run();
  home.restart();
  home.run();
  CHECK(scope.size() == 0);
  CHECK(alive == 0);
}
