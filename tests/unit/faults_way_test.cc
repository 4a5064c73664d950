// One way of a faulty flow, on a loop of its own and by the real clock. Times are bounded from below exactly,
// and from above only as far as a busy machine allows.

#include <numeric>
#include "tests/support/catch.h"

#include "host/faults/fault_way.h"
#include "tests/support/dialers_loop.h"

namespace nsrun::test {
namespace {

class Subject {
 public:
  explicit Subject(std::string_view text, Transport transport = Transport::stream,
                   std::uint64_t seed = Faults::usual_seed)
      : faults(parse_faults(text).value(), "a rule", seed),
        way(loop.executor(), transport, faults, &FaultSpec::up,
            faults.chance(faults.next_flow(), SeededRandom::Part::up), under_way) {}

  Loop loop;
  Faults faults;
  TransitBudget under_way;
  FaultWay way;
};

Task<> leave_all(FaultWay& way, std::vector<std::string>& pieces) {
  for (;;) {
    const auto next = co_await way.leave(65'536);
    if (next.kind != InTransit::Kind::bytes) co_return;
    pieces.emplace_back(as_text(next.bytes));
  }
}

std::vector<std::string> run(Subject& subject) {
  std::vector<std::string> pieces;
  subject.way.enter_end();
  subject.loop.run(leave_all(subject.way, pieces));
  return pieces;
}

std::vector<std::string> numbered(std::string_view text, int count, std::uint64_t seed = 1) {
  Subject subject(text, Transport::datagram, seed);
  for (int i = 0; i < count; ++i) subject.way.enter(as_bytes(std::to_string(i)));
  return run(subject);
}

TEST_CASE("latency delays each piece, and many are under way at once") {
  Subject subject("up:latency=100ms");
  const auto began = Clock::now();
  for (int i = 0; i < 200; ++i) subject.way.enter(as_bytes(std::string(1000, 'x')));
  CHECK(run(subject).size() == 200);
  const auto took = Clock::now() - began;
  CHECK(took >= 100ms);
  CHECK(took < 2s);  // one by one it would take 20
}

TEST_CASE("a stream keeps its order under jitter, datagrams need not") {
  const auto jittery = [](Transport transport) {
    Subject subject("up:latency=20ms,up:jitter=20ms", transport);
    for (int i = 0; i < 200; ++i) subject.way.enter(as_bytes(std::to_string(1000 + i)));
    // The end of datagrams overtakes none of them.
    return run(subject);
  };
  const auto stream = jittery(Transport::stream), datagrams = jittery(Transport::datagram);
  CHECK(stream.size() == 200);
  CHECK(std::is_sorted(stream.begin(), stream.end()));
  CHECK(datagrams.size() == 200);
  CHECK_FALSE(std::is_sorted(datagrams.begin(), datagrams.end()));
}

TEST_CASE("a token bucket keeps its rate to the bit, and saves nothing up") {
  TokenBucket bucket;
  const auto began = Clock::now();
  auto through = began;
  for (int i = 0; i < 1000; ++i) through = bucket.take(began, 1000, 8'000'000);
  CHECK(through == began + 1s);
  CHECK(bucket.take(through + 10s, 1000, 8'000'000) == through + 10s + 1ms);
}

TEST_CASE("bandwidth lets bytes pass at its rate") {
  Subject subject("up:bandwidth=8mbit");
  subject.way.enter(as_bytes(std::string(300'000, 'x')));
  const auto began = Clock::now();
  std::size_t size = 0;
  for (const auto& piece : run(subject)) size += piece.size();
  CHECK(size == 300'000);
  CHECK(Clock::now() - began >= 299ms);
  CHECK(Clock::now() - began < 2s);  // 2.4 s if bits were taken for bytes
}

TEST_CASE("a stream is sliced, and the pieces make up the whole") {
  Subject subject("slice=10B-20B");
  std::string text(1000, '\0');
  std::iota(text.begin(), text.end(), '\0');
  subject.way.enter(as_bytes(text));
  const auto pieces = run(subject);
  for (std::size_t i = 0; i + 1 < pieces.size(); ++i) {
    CHECK(pieces[i].size() >= 10);
    CHECK(pieces[i].size() <= 20);
  }
  CHECK(std::accumulate(pieces.begin(), pieces.end(), std::string()) == text);
}

TEST_CASE("a stall begins at its byte and lasts as long as it says") {
  Subject subject("stall=10B/100ms");
  subject.way.enter(as_bytes("0123456789abcdef"));
  const auto began = Clock::now();
  CHECK(run(subject) == std::vector<std::string>{"0123456789", "abcdef"});
  CHECK(Clock::now() - began >= 100ms);
}

Task<> lift(Subject& stalled) {
  co_await give_way();
  stalled.faults.replace({});
  stalled.way.look_again();
}

TEST_CASE("a stall for good ends when the faults are replaced") {
  Subject subject("stall=0B");
  subject.way.enter(as_bytes("at last"));
  subject.way.enter_end();
  std::vector<std::string> pieces;
  subject.loop.run(both(leave_all(subject.way, pieces), lift(subject)));
  CHECK(pieces == std::vector<std::string>{"at last"});
}

TEST_CASE("datagrams are lost, doubled and changed as often as was said") {
  constexpr int many = 10'000;
  CHECK(numbered("loss=20%", many).size() == Approx(8000).margin(160));  // four standard deviations
  CHECK(numbered("duplicate=20%", many).size() == Approx(12'000).margin(160));
  CHECK(numbered("loss=100%", 100).empty());
  const auto changed = numbered("corrupt=20%", many);
  int wrong = 0;
  for (int i = 0; i < many; ++i) wrong += changed[static_cast<std::size_t>(i)] != std::to_string(i);
  CHECK(wrong == Approx(2000).margin(160));
}

TEST_CASE("a datagram chosen for reordering is overtaken by the next") {
  const auto seen = numbered("reorder=30%", 1000);
  CHECK(seen.size() == 1000);
  int overtaken = 0;
  for (std::size_t i = 1; i < seen.size(); ++i) overtaken += std::stoi(seen[i]) < std::stoi(seen[i - 1]);
  CHECK(overtaken > 150);
}

TEST_CASE("the same seed, rule and flow meet the same faults; others meet others") {
  const auto first = numbered("loss=50%", 200, 7);
  CHECK(numbered("loss=50%", 200, 7) == first);
  CHECK(numbered("loss=50%,duplicate=0%", 200, 7) == first);
  CHECK(numbered("loss=50%", 200, 8) != first);
  Faults faults(parse_faults("loss=50%").value(), "a rule", 7);
  CHECK(faults.chance(0, SeededRandom::Part::up).unit() != faults.chance(1, SeededRandom::Part::up).unit());
  CHECK(faults.chance(0, SeededRandom::Part::up).unit() != faults.chance(0, SeededRandom::Part::down).unit());
  CHECK(faults.chance(0, SeededRandom::Part::up).unit() == faults.chance(0, SeededRandom::Part::up).unit());
}

Task<> fill(FaultWay& way, std::size_t& entered) {
  const std::string piece(1000, 'x');
  for (;;) {
    co_await way.room();
    way.enter(as_bytes(piece));
    entered += piece.size();
  }
}

Task<> some_turns() {
  for (int i = 0; i < 10; ++i) co_await give_way();
}

Task<> fill_a_while(FaultWay& way, std::size_t& entered) {
  co_await either(fill(way, entered), some_turns());
}

TEST_CASE("what is under way is bounded, and what is cut is forgotten") {
  Subject subject("stall=0B");
  std::size_t entered = 0;
  subject.loop.run(fill_a_while(subject.way, entered));
  CHECK(entered >= FaultWay::least / 2);
  CHECK(entered <= FaultWay::least + 1000);
  CHECK(subject.under_way.bytes > 0);
  subject.way.cut({.kind = InTransit::Kind::end});
  CHECK(subject.under_way.bytes == 0);
  CHECK(run(subject).empty());
}

}  // namespace
}  // namespace nsrun::test
