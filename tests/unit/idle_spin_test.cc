#include "tests/support/catch.h"

#include "netstack/idle_spin.h"

using namespace nsrun;
using namespace std::chrono_literals;

namespace {

IdleSpin after(Latency latency, unsigned processors, int pauses, IdleSpin::Duration each, bool slept) {
  IdleSpin spin(latency, processors);
  for (int i = 0; i < pauses; ++i) spin.paused(each, slept);
  return spin;
}

}  // namespace

TEST_CASE("a stack looks on only once pauses have been short for a while") {
  CHECK(after(Latency::automatic, 2, 0, 20us, true).budget() == 0us);
  CHECK(after(Latency::automatic, 2, 1, 20us, true).budget() == 0us);
  CHECK(after(Latency::automatic, 2, 20, 20us, true).budget() == 50us);
  CHECK(after(Latency::automatic, 2, 20, 300us, true).budget() == 0us);
}

TEST_CASE("looking on ends when it no longer finds anything") {
  auto spin = after(Latency::automatic, 2, 50, 20us, false);
  REQUIRE(spin.budget() > 0us);
  int wasted = 0;
  for (; spin.budget() > 0us && wasted < 1000; ++wasted) spin.paused(5ms, true);
  CHECK(wasted < 10);
}

TEST_CASE("a pause that was slept may be longer by a wake-up and still count as short") {
  CHECK(after(Latency::automatic, 2, 50, 80us, true).budget() > 0us);
  CHECK(after(Latency::automatic, 2, 50, 80us, false).budget() == 0us);
}

TEST_CASE("low latency always looks on, sparing processors never does") {
  CHECK(after(Latency::low, 1, 50, 5ms, true).budget() > 50us);
  CHECK(after(Latency::cpu, 8, 50, 1us, true).budget() == 0us);
}

TEST_CASE("on one processor nobody looks on, for it would keep the others from working") {
  CHECK(after(Latency::automatic, 1, 50, 20us, true).budget() == 0us);
}
