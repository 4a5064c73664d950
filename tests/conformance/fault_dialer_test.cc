// What a FaultDialer does to dials and connections, and that both follow when the faults are others.
//
//   test ──► FaultDialer ──► DirectDialer ──► server on loopback, one thread

#include <thread>
#include "tests/support/catch.h"

#include "host/faults/fault_dialer.h"
#include "tests/support/dialers_subjects.h"

namespace nsrun::test {
namespace {

struct Bad {
  explicit Bad(std::string_view text)
      : faults(std::make_shared<Faults>(parse_faults(text).value())), dialer(loop.beside, direct, totals) {}
  Target serve(Behaviour behaviour) {
    auto target = subject.serve(Protocol::tcp, std::move(behaviour));
    target.faults = faults;
    return target;
  }

  Loop loop;
  Counters totals;
  DirectDialer direct{loop.executor()};
  Direct subject{loop};
  std::shared_ptr<Faults> faults;
  FaultDialer dialer;
};

// As another thread would: a policy is reloaded, a test goes on to its next part.
void replace(Faults& faults, std::string_view text) {
  std::thread([&] { faults.replace(parse_faults(text).value()); }).join();
}

Task<> replace_later(Faults& faults, std::string text) {
  co_await give_way();
  replace(faults, text);
}

Task<> dial_into(Bad& bad, Target target, Result<std::unique_ptr<Connection>>& result) {
  result = co_await bad.dialer.dial(target);
}

Task<> asks_and_hears(Connection& near, std::string& heard) {
  co_await write_all(near, "anyone?");
  near.finish();
  heard = co_await read_all(near);
}

Task<> is_refused_by_fault(Bad& bad) {
  const auto near = co_await bad.dialer.dial(bad.serve(echo));
  REQUIRE(!near);
  CHECK(near.error().code == errno_code(ECONNREFUSED));
}

TEST_CASE("a refused dial is an error that says so") {
  Bad bad("refuse");
  bad.loop.run(is_refused_by_fault(bad));
}

Task<> emerges(Bad& bad) {
  const auto target = bad.serve(echo);
  Result<std::unique_ptr<Connection>> near = Error{"nothing yet"};
  co_await both(dial_into(bad, target, near), replace_later(*bad.faults, "syn_delay=0ms"));
  REQUIRE(near.has_value());
  std::string heard;
  co_await asks_and_hears(**near, heard);
  CHECK(heard == "anyone?");
}

TEST_CASE("a dial in a black hole goes on when the hole is closed") {
  Bad bad("blackhole");
  bad.loop.run(emerges(bad));
}

Task<> flows_again(Bad& bad) {
  auto near = (co_await bad.dialer.dial(bad.serve(echo))).value();
  std::string heard;
  co_await both(asks_and_hears(*near, heard), replace_later(*bad.faults, "latency=1ms"));
  CHECK(heard == "anyone?");
  CHECK(bad.totals.relays_from_guest == 0);
}

TEST_CASE("a live connection that is stalled flows again when its faults are others") {
  Bad bad("stall=0B");
  bad.loop.run(flows_again(bad));
}

Task<> is_cut(Bad& bad) {
  auto near = (co_await bad.dialer.dial(bad.serve(echo))).value();
  CHECK(bad.totals.relays_from_guest == 1);
  replace(*bad.faults, "reset_after=0s");
  std::byte buffer[16];
  const auto chunk = co_await near->read(buffer);
  REQUIRE(!chunk);
  CHECK(chunk.error().code == errno_code(ECONNRESET));
  const auto written = co_await near->write(as_bytes("too late"));
  CHECK(!written);
}

TEST_CASE("a live connection is reset when its faults come to say so") {
  Bad bad("latency=1ms");
  bad.loop.run(is_cut(bad));
}

Task<> leaves_nothing(Bad& bad, std::string_view text, bool resets) {
  const auto before = bad.loop.beside.size();
  bad.faults->replace(parse_faults(text).value());
  auto near = (co_await bad.dialer.dial(bad.serve(echo))).value();
  co_await write_all(*near, "x");
  if (resets) near->reset();
  near.reset();
  // The listener of serve() stays. Should a connection's task stay too, the loop's limit ends this.
  while (bad.loop.beside.size() > before + 1) co_await give_way();
  CHECK(bad.totals.relays_from_guest == 0);
}

TEST_CASE("a connection whose asker goes leaves no task behind, whatever its faults") {
  for (const char* text : {"latency=4ms", "bandwidth=1mbit", "slice=1B,slice_delay=1ms", "close_delay=2ms"}) {
    for (const bool resets : {true, false}) {
      INFO(text << (resets ? ", reset" : ", closed"));
      Bad bad(text);
      bad.loop.run(leaves_nothing(bad, text, resets));
    }
  }
}

}  // namespace
}  // namespace nsrun::test
