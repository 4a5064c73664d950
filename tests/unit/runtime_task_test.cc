#include <sys/socket.h>

#include <array>
#include <boost/asio/executor_work_guard.hpp>
#include <stdexcept>
#include <thread>
#include "tests/support/catch.h"

#include "runtime/task.h"
#include "tests/support/dialers_loop.h"

using namespace nsrun;

namespace {

// Longer than any test may take: a wait that reaches it failed.
constexpr auto never = 10min;

enum class Outcome { running, finished, cancelled, failed };

// Waits forever, and notes how that ended.
Task<> wait_forever(Outcome& outcome) {
  try {
    co_await sleep_for(never);
    outcome = Outcome::finished;
  } catch (const boost::system::system_error& error) {
    outcome = error.code() == asio::error::operation_aborted ? Outcome::cancelled : Outcome::failed;
    throw;
  }
}

Task<> end_at_once() { co_return; }

Task<> fail_at_once() {
  co_await test::give_way();
  throw std::runtime_error("broken");
}

Task<int> seven_at_once() { co_return 7; }

Task<int> seven_never() {
  co_await sleep_for(never);
  co_return 7;
}

Task<int> fail_with_value() {
  co_await test::give_way();
  throw std::runtime_error("broken");
}

Task<> note_cancellation(Task<> task, Outcome& outcome) {
  try {
    co_await std::move(task);
    outcome = Outcome::finished;
  } catch (const boost::system::system_error& error) {
    outcome = error.code() == asio::error::operation_aborted ? Outcome::cancelled : Outcome::failed;
  } catch (...) {
    outcome = Outcome::failed;
  }
}

// Runs `task` in a scope, lets it begin, and cancels it.
Task<> cancel_once_begun(Task<> task) {
  Scope scope(co_await asio::this_coro::executor);
  scope.spawn(std::move(task));
  co_await test::give_way();
  co_await test::give_way();
  co_await scope.cancel_and_join();
}

Task<> expect_broken(Task<> task) {
  bool broken = false;
  try {
    co_await std::move(task);
  } catch (const std::runtime_error& error) {
    broken = error.what() == std::string("broken");
  }
  CHECK(broken);
}

Task<> either_as_void(Task<> first, Task<> second) { co_await either(std::move(first), std::move(second)); }

Task<> within_as_void(Task<int> task) { co_await within(never, std::move(task)); }

}  // namespace

TEST_CASE("either ends with the task that ends first, and cancels the other") {
  test::Loop loop;
  Outcome other = Outcome::running;
  bool first = false, second = true;
  const auto body = [](bool& first_won, bool& second_won, Outcome& left) -> Task<> {
    first_won = co_await either(end_at_once(), wait_forever(left));
    second_won = co_await either(wait_forever(left), end_at_once());
  };
  loop.run(body(first, second, other));
  CHECK(first);
  CHECK_FALSE(second);
  CHECK(other == Outcome::cancelled);
}

TEST_CASE("either throws at once what the task that ended first threw") {
  Outcome other = Outcome::running;
  test::Loop().run(expect_broken(either_as_void(fail_at_once(), wait_forever(other))));
  CHECK(other == Outcome::cancelled);
  other = Outcome::running;
  test::Loop().run(expect_broken(either_as_void(wait_forever(other), fail_at_once())));
  CHECK(other == Outcome::cancelled);
}

TEST_CASE("either, both and within end as cancelled when their caller is cancelled") {
  Outcome one = Outcome::running, two = Outcome::running, whole = Outcome::running;
  SECTION("either") {
    test::Loop().run(
        cancel_once_begun(note_cancellation(either_as_void(wait_forever(one), wait_forever(two)), whole)));
    CHECK(two == Outcome::cancelled);
  }
  SECTION("both") {
    test::Loop().run(cancel_once_begun(note_cancellation(both(wait_forever(one), wait_forever(two)), whole)));
    CHECK(two == Outcome::cancelled);
  }
  SECTION("within") {
    one = Outcome::cancelled;
    test::Loop().run(cancel_once_begun(note_cancellation(within_as_void(seven_never()), whole)));
  }
  CHECK(one == Outcome::cancelled);
  CHECK(whole == Outcome::cancelled);
}

TEST_CASE("wait_any names the task that ended first, and cancels the others") {
  for (std::size_t winner = 0; winner < 4; ++winner) {
    std::array<Outcome, 4> outcomes{};
    std::size_t first = 9;
    const auto wait = [&]() -> Task<> {
      std::vector<Task<>> tasks;
      for (std::size_t i = 0; i < outcomes.size(); ++i)
        tasks.push_back(i == winner ? end_at_once() : wait_forever(outcomes[i]));
      first = co_await wait_any(std::move(tasks));
    };
    test::Loop().run(wait());
    CHECK(first == winner);
    for (std::size_t i = 0; i < outcomes.size(); ++i)
      CHECK(outcomes[i] == (i == winner ? Outcome::running : Outcome::cancelled));
  }
}

TEST_CASE("wait_any throws what the task that ended first threw") {
  Outcome one{}, other{};
  const auto wait = [&]() -> Task<> {
    co_await wait_any(wait_forever(one), fail_at_once(), wait_forever(other));
  };
  test::Loop().run(expect_broken(wait()));
  CHECK(one == Outcome::cancelled);
  CHECK(other == Outcome::cancelled);
}

TEST_CASE("wait_all waits for all, however many") {
  for (std::size_t size = 0; size < 5; ++size) {
    std::size_t ended = 0;
    const auto end_later = [](std::size_t& count, std::size_t turns) -> Task<> {
      for (std::size_t i = 0; i < turns; ++i) co_await test::give_way();
      ++count;
    };
    std::vector<Task<>> tasks;
    for (std::size_t i = 0; i < size; ++i) tasks.push_back(end_later(ended, size - i));
    test::Loop().run(wait_all(std::move(tasks)));
    CHECK(ended == size);
  }
}

TEST_CASE("wait_all throws the failure itself, and cancels the others") {
  std::array<Outcome, 3> outcomes{};
  std::vector<Task<>> tasks;
  for (auto& outcome : outcomes) tasks.push_back(wait_forever(outcome));
  tasks.insert(tasks.begin() + 1, fail_at_once());
  test::Loop().run(expect_broken(wait_all(std::move(tasks))));
  for (const auto outcome : outcomes) CHECK(outcome == Outcome::cancelled);
}

TEST_CASE("wait_any and wait_all end as cancelled when their caller is cancelled") {
  Outcome whole{};
  std::array<Outcome, 3> outcomes{};
  std::vector<Task<>> tasks;
  for (auto& outcome : outcomes) tasks.push_back(wait_forever(outcome));
  SECTION("wait_any") {
    const auto any = [](std::vector<Task<>> all) -> Task<> { co_await wait_any(std::move(all)); };
    test::Loop().run(cancel_once_begun(note_cancellation(any(std::move(tasks)), whole)));
  }
  SECTION("wait_all") {
    test::Loop().run(cancel_once_begun(note_cancellation(wait_all(std::move(tasks)), whole)));
  }
  CHECK(whole == Outcome::cancelled);
  for (const auto outcome : outcomes) CHECK(outcome == Outcome::cancelled);
}

TEST_CASE("both waits for both") {
  test::Loop loop;
  Signal release(loop.executor());
  const auto raise = [](Signal& signal) -> Task<> {
    co_await test::give_way();
    signal.raise();
  };
  loop.run(both(release.wait(), raise(release)));
  loop.run(both(raise(release), release.wait()));
}

TEST_CASE("both throws the failure itself, whichever task failed, not the cancellation it caused") {
  Outcome other = Outcome::running;
  test::Loop().run(expect_broken(both(fail_at_once(), wait_forever(other))));
  CHECK(other == Outcome::cancelled);
  other = Outcome::running;
  test::Loop().run(expect_broken(both(wait_forever(other), fail_at_once())));
  CHECK(other == Outcome::cancelled);
}

TEST_CASE("within gives the task's value when it comes in time") {
  std::optional<int> value;
  const auto body = [](std::optional<int>& into) -> Task<> {
    into = co_await within(never, seven_at_once());
  };
  test::Loop().run(body(value));
  CHECK(value == 7);
}

TEST_CASE("within gives nothing when the limit passes first") {
  std::optional<int> value = 1;
  const auto body = [](std::optional<int>& into) -> Task<> { into = co_await within(1ms, seven_never()); };
  test::Loop().run(body(value));
  CHECK_FALSE(value);
}

TEST_CASE("within throws at once what the task throws") {
  test::Loop().run(expect_broken(within_as_void(fail_with_value())));
}

TEST_CASE("a descriptor is readable once there is something to read") {
  test::Loop loop;
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  Descriptor near(loop.executor(), ends[0]), far(loop.executor(), ends[1]);
  bool came = false, room = false, closed = true;
  const auto body = [](Descriptor& here, Descriptor& there, bool& got, bool& can_write,
                       bool& left) -> Task<> {
    can_write = co_await writable(there);
    there.write_some(asio::buffer("x", 1));
    got = co_await readable(here);
    char byte;
    here.read_some(asio::buffer(&byte, 1));
    const auto close = [](Descriptor& descriptor) -> Task<> {
      co_await test::give_way();
      descriptor.close();
    };
    const auto wait = [](Descriptor& descriptor, bool& result) -> Task<> {
      result = co_await readable(descriptor);
    };
    co_await both(wait(here, left), close(here));
  };
  loop.run(body(near, far, came, room, closed));
  CHECK(room);
  CHECK(came);
  CHECK_FALSE(closed);
}

TEST_CASE("run_on runs a task on another loop's thread, to its end, and gives back what it throws") {
  asio::io_context other;
  auto keeps = asio::make_work_guard(other);
  std::thread thread([&] { other.run(); });
  const auto home = std::this_thread::get_id();
  test::Loop loop;
  std::thread::id there, after;
  std::string thrown;
  const auto note = [](std::thread::id& where) -> Task<> {
    co_await test::give_way();
    where = std::this_thread::get_id();
  };
  const auto body = [](auto& elsewhere, auto task, auto& back, auto& what) -> Task<> {
    co_await run_on(elsewhere, std::move(task));
    back = std::this_thread::get_id();
    try {
      co_await run_on(elsewhere, fail_at_once());
    } catch (const std::runtime_error& error) {
      what = error.what();
    }
  };
  loop.run(body(other, note(there), after, thrown));
  CHECK(there == thread.get_id());
  CHECK(after == home);
  CHECK(thrown == "broken");
  keeps.reset();
  thread.join();
}

TEST_CASE("run_on awaits its task even when its caller is cancelled, who hears of it afterwards") {
  asio::io_context other;
  test::Loop loop;
  Outcome outcome = Outcome::running;
  bool ended = false;
  const auto end = [](bool& done) -> Task<> {
    done = true;
    co_return;
  };
  const auto body = [](auto& elsewhere, auto task, auto& how) -> Task<> {
    Scope scope(co_await asio::this_coro::executor);
    const auto both = [](auto& there, auto inner) -> Task<> {
      co_await run_on(there, std::move(inner));
      co_await sleep_for(never);
    };
    scope.spawn(note_cancellation(both(elsewhere, std::move(task)), how));
    scope.cancel();
    co_await test::give_way();
    elsewhere.run();  // not before: the cancellation came first
    co_await scope.join();
  };
  loop.run(body(other, end(ended), outcome));
  CHECK(ended);
  CHECK(outcome == Outcome::cancelled);
}

TEST_CASE("run_on passes a cancellation on to its task") {
  asio::io_context other;
  auto keeps = asio::make_work_guard(other);
  std::thread thread([&] { other.run(); });
  test::Loop loop;
  Outcome there = Outcome::running, here = Outcome::running;
  const auto body = [](auto& elsewhere, auto& inner, auto& outer) -> Task<> {
    Scope scope(co_await asio::this_coro::executor);
    const auto wait = [](auto& where, auto& how) -> Task<> {
      co_await run_on(where, note_cancellation(sleep_for(never), how));
      co_await sleep_for(never);
    };
    scope.spawn(note_cancellation(wait(elsewhere, inner), outer));
    co_await scope.cancel_and_join();
  };
  loop.run(body(other, there, here));
  CHECK(there == Outcome::cancelled);
  CHECK(here == Outcome::cancelled);
  keeps.reset();
  thread.join();
}
