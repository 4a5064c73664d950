#include "runtime/staggered.h"

#include <stdexcept>

#include "tests/support/catch.h"
#include "tests/support/dialers_loop.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

// Longer than any test may take: a race that waits for it failed.
constexpr Clock::duration never_done = 10min;

using Value = std::optional<int>;
using Attempts = std::function<Task<Value>(std::size_t)>;

template <class... T>
std::vector<Clock::duration> delays(T... values) {
  return {values...};
}

// What became of each attempt.
struct Record {
  std::vector<std::size_t> started;
  int cancelled = 0;
};

Task<Value> fail_later() {
  co_await give_way();
  co_return std::nullopt;
}

Task<Value> succeed(int value) {
  co_await give_way();
  co_return value;
}

Task<Value> throw_something() {
  co_await give_way();
  throw std::runtime_error("broken");
}

Task<Value> hang(Record& record) {
  try {
    co_await sleep_for(never_done);
  } catch (const boost::system::system_error&) {
    ++record.cancelled;
    throw;
  }
  co_return std::nullopt;
}

Task<> first_failure_starts_the_second() {
  const Attempts attempt = [](std::size_t i) { return i == 0 ? fail_later() : succeed(7); };
  const auto seen = co_await race_staggered<int>(delays(0s, never_done), attempt);
  CHECK(seen == 7);
}

Task<> a_thrown_attempt_has_failed() {
  const Attempts attempt = [](std::size_t i) { return i == 0 ? throw_something() : succeed(7); };
  const auto seen = co_await race_staggered<int>(delays(0s, never_done), attempt);
  CHECK(seen == 7);
}

Task<> a_slow_one_is_overtaken() {
  Record record;
  const Attempts attempt = [&](std::size_t i) { return i < 2 ? hang(record) : succeed(7); };
  const auto seen = co_await race_staggered<int>(delays(0s, 1ms, 1ms), attempt);
  CHECK(seen == 7);
  CHECK(record.cancelled == 2);
}

Task<> the_rest_is_not_started() {
  Record record;
  const Attempts attempt = [&](std::size_t i) {
    record.started.push_back(i);
    return succeed(static_cast<int>(i));
  };
  const auto seen = co_await race_staggered<int>(delays(0s, never_done, never_done), attempt);
  CHECK(seen == 0);
  CHECK(record.started == std::vector<std::size_t>{0});
}

Task<> all_fail() {
  const Attempts attempt = [](std::size_t) { return fail_later(); };
  const auto seen = co_await race_staggered<int>(delays(0s, never_done, never_done), attempt);
  CHECK(seen == std::nullopt);
  const auto seen2 = co_await race_staggered<int>(delays(), attempt);
  CHECK(seen2 == std::nullopt);
}

Task<> run_hanging_race(Record& record) {
  const Attempts attempt = [&](std::size_t i) {
    record.started.push_back(i);
    return hang(record);
  };
  co_await race_staggered<int>(delays(0s, 0s), attempt);
}

Task<> cancelled_race_ends_its_attempts(Loop& loop) {
  Record record;
  Scope racing(loop.executor());
  racing.spawn(run_hanging_race(record));
  while (record.started.size() < 2) co_await give_way();
  for (int turn = 0; turn < 5; ++turn) co_await give_way();
  co_await racing.cancel_and_join();
  CHECK(record.cancelled == 2);
}

}  // namespace

TEST_CASE("the next attempt starts as soon as one has failed") {
  Loop().run(first_failure_starts_the_second());
  Loop().run(a_thrown_attempt_has_failed());
}

TEST_CASE("attempts that have not succeeded when another does are cancelled") {
  Loop().run(a_slow_one_is_overtaken());
}

TEST_CASE("an attempt that succeeds in time leaves the others unstarted") {
  Loop().run(the_rest_is_not_started());
}

TEST_CASE("a race that nobody wins has no value") { Loop().run(all_fail()); }

TEST_CASE("a race that is cancelled ends its attempts first") {
  Loop loop;
  loop.run(cancelled_race_ends_its_attempts(loop));
}
