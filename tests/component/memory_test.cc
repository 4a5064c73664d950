// What a guest can make the host process hold: each resource is charged to one budget, which refuses the
// newest and leaves what lives alone. Limits are small here, so that little is needed to reach them.

#include "host/carry/carrier.h"
#include "host/carry/inspect.h"
#include "host/carry/inspected_requests.h"
#include "host/flow/memory_pipe.h"
#include "host/flow/relay.h"
#include "host/names/dns_conversation.h"
#include "host/names/dns_framing.h"
#include "netstack/datagrams/reassembly.h"
#include "netstack/stack_group.h"
#include "tests/support/catch.h"
#include "tests/support/dialers_loop.h"
#include "tests/support/stack_world.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

constexpr std::size_t mib = 1 << 20;
constexpr std::size_t limit = 16 * mib;
constexpr std::size_t slack = 3 * MemoryShare::block;  // bytes that a loop's share may have drawn beside

struct HeldFlow {
  GuestTcp& guest;
  std::unique_ptr<Far> far;
};

// A stack whose guest may make it hold `limit` bytes, and as many flows as that allows.
struct Bounded {
  explicit Bounded(Setting setting = {}) : world(setting, options(memory)) {}

  static StackOptions options(MemoryShare& memory) {
    StackOptions options;
    options.memory = &memory;
    options.max_pending_syns = 1'000'000;
    return options;
  }
  void syn(std::uint16_t port) {
    world.device.send(
        {tcp_packet(world.guest(port), world.target(80), {.from = port, .to = 80, .flags = flag::syn})});
  }
  // Connections from ports 1 to `count`: later there is no memory for new ones.
  std::vector<HeldFlow> connected(std::uint16_t count) {
    std::vector<HeldFlow> flows;
    for (std::uint16_t port = 1; port <= count; ++port) {
      auto [guest, far] = world.connected(port);
      flows.push_back({guest, std::move(far)});
    }
    return flows;
  }
  void datagram(std::uint16_t port, std::size_t size) {
    world.device.send({udp_packet(world.guest(port), world.target(9), pattern(size))});
  }
  // What is lost the guest sends again, as its kernel would.
  bool goes_on(GuestTcp& guest, Far& far, std::uint32_t so_far) {
    const auto bytes = pattern(500);
    guest.send(bytes);
    int looks = 0;
    return world.until([&] {
      if (++looks % 100 == 0) guest.segment(so_far, bytes);
      far.read();
      return far.received.size() == so_far + bytes.size();
    });
  }

  MemoryBudget budget{limit};
  MemoryShare memory{budget};
  StackWorld world;
};

// For what is no stack's.
struct Charged {
  Executor executor() { return loop.executor(); }

  MemoryBudget budget{limit};
  MemoryShare memory{budget};
  Loop loop;
  LiveFlows flows;
  Events events;
};

}  // namespace

TEST_CASE(
    "SYNs are dropped when memory is used up, connections go on, and new ones come when there is room") {
  Bounded bounded;
  auto& world = bounded.world;
  auto [old, far] = world.connected(40'000);
  for (int port = 1; port <= 30'000; ++port) {
    bounded.syn(static_cast<std::uint16_t>(port));
    if (port % 1000 == 0) world.rest();
  }
  CHECK(world.requests.size() > 5'000);
  CHECK(world.requests.size() < 20'000);
  CHECK(bounded.budget.used() <= limit / 4 * 3 + slack);
  CHECK(bounded.goes_on(old, *far, 0));

  const auto held = world.requests.size();
  for (int i = 0; i < 1000; ++i) world.requests.pop_front();
  world.rest();
  bounded.syn(35'000);
  CHECK(world.until([&] { return world.requests.size() == held - 999; }));
}

TEST_CASE("segments out of order stay below the limit, and a flow in order goes on") {
  Bounded bounded;
  auto& world = bounded.world;
  auto [old, far] = world.connected(40'000);
  const auto flows = bounded.connected(120);
  const auto size = GENERATE(std::size_t{1}, std::size_t{1300}, std::size_t{4000});
  const auto bytes = pattern(size);
  for (const auto& flow : flows) {
    for (std::uint32_t i = 0; i < 190; ++i)
      flow.guest.segment(10 + i * (static_cast<std::uint32_t>(size) + 1), bytes);
    world.rest();
    REQUIRE(bounded.budget.used() <= limit / 8 * 7 + slack);
  }
  if (size > 1) CHECK(bounded.budget.used() > limit / 2);  // else there was nothing to bound
  CHECK(bounded.goes_on(old, *far, 0));
  CHECK(bounded.goes_on(old, *far, 500));
}

TEST_CASE("a guest whose far ends do not read has its memory bounded, and a flow that is read goes on") {
  Bounded bounded;
  auto& world = bounded.world;
  auto [old, far] = world.connected(40'000);
  world.far_buffer = 4096;
  const auto flows = bounded.connected(60);
  for (const auto& flow : flows) {
    flow.guest.send_all(pattern(400'000));
    world.rest();
    REQUIRE(bounded.budget.used() <= limit + slack);
  }
  CHECK(bounded.goes_on(old, *far, 0));
}

TEST_CASE("a guest that does not acknowledge has its memory bounded, and a flow that is read goes on") {
  Bounded bounded;
  auto& world = bounded.world;
  auto [old, far] = world.connected(40'000);
  const auto flows = bounded.connected(300);
  for (const auto& flow : flows) {
    flow.guest.acknowledges = false;
    flow.far->send(pattern(200'000));
    world.rest();
    REQUIRE(bounded.budget.used() <= limit + slack);
  }
  CHECK(bounded.goes_on(old, *far, 0));
}

TEST_CASE("datagram flows are refused when memory is used up, and one that lives goes on") {
  Bounded bounded;
  auto& world = bounded.world;
  bounded.datagram(60'000, 100);
  const auto far = world.carry(world.request());
  for (int port = 1; port <= 20'000; ++port) {
    bounded.datagram(static_cast<std::uint16_t>(port), 1000);
    if (port % 1000 == 0) world.rest();
  }
  CHECK(world.requests.size() > 1'000);
  CHECK(world.requests.size() < 10'000);
  CHECK(bounded.budget.used() <= limit / 4 * 3 + slack);
  bounded.datagram(60'000, 200);
  CHECK(world.until([&] { return far->read_datagrams(), far->datagrams.size() == 2; }));
}

TEST_CASE("datagrams that wait for a slow answer are charged, and given back with their flow") {
  Bounded bounded;
  auto& world = bounded.world;
  world.rest();
  const auto before = bounded.budget.used();
  for (std::uint16_t port = 1; port <= 200; ++port)
    for (int i = 0; i < 10; ++i) bounded.datagram(port, 30'000);
  world.rest();
  CHECK(bounded.budget.used() > before + 8 * mib);
  CHECK(bounded.budget.used() <= limit / 8 * 7 + slack);
  world.requests.clear();
  world.rest();
  CHECK(bounded.budget.used() < before + 2 * mib);
}

TEST_CASE("unfinished packets are bounded by the budget, whatever the size of their pieces") {
  MemoryBudget budget(mib);
  MemoryShare memory(budget);
  Reassembly reassembly(&memory);
  const IpFields ip{IpAddress::v4(10, 0, 2, 100), IpAddress::v4(192, 0, 2, 1), 17};
  const std::size_t piece = GENERATE(std::size_t{8}, std::size_t{8000});
  for (std::uint32_t id = 0; id < 50; ++id) {
    auto pieces = fragments(ip, pattern(60'000), piece, id);
    pieces.pop_back();
    for (auto& bytes : pieces) (void)reassembly.add(*parse_packet(bytes), {});
    REQUIRE(budget.used() <= mib / 8 * 7 + slack);
  }
  (void)reassembly.add(*parse_packet(MutableBytes(fragments(ip, pattern(100), 80, 99)[0])),
                       Clock::time_point{} + 2 * Reassembly::lifetime);
  CHECK(budget.used() <= slack + 1000);
}

TEST_CASE("packets on their way to another worker are charged until they are taken") {
  MemoryBudget budget(mib);
  StrayQueue queue(budget);
  for (int i = 0; i < 100; ++i) queue.push({std::vector<std::byte>(60'000), {}});
  CHECK(budget.used() <= mib / 8 * 7);
  CHECK(queue.take().size() == 15);
  CHECK(budget.used() == 0);
}

namespace {

Task<bool> asks_again(Signal& asks) {
  co_await asks.wait();
  co_return true;
}

Task<DnsAnswers> never_answer(int& asked, Signal& asks) {
  ++asked;
  asks.raise();
  co_await sleep_for(1h);
  co_return DnsAnswers{};
}

Task<> relay_one_datagram(Charged& test) {
  auto [guest, near] = memory_pipe(test.executor(), Transport::datagram);
  auto [far, server] = memory_pipe(test.executor(), Transport::datagram);
  auto record = std::make_unique<FlowRecord>(1, FlowKey{Protocol::udp, {}, {}}, test.events, test.flows);
  test.loop.beside.spawn(relay(std::move(near), std::move(far), std::move(record), 60s, &test.memory));
  const auto large = pattern(60'000);
  (void)co_await guest->write(large);
  Octets room(65'535);
  const auto got = co_await server->read(room);
  CHECK(got->size == large.size());
  co_await give_way();
  CHECK(test.memory.has_room(limit - 8192, MemoryUse::progress));
  guest.reset();
  co_await test.loop.beside.join();
}

Task<> claim_a_long_message(Charged& test) {
  auto [guest, server] = memory_pipe(test.executor(), Transport::stream);
  MemoryCharge charge(&test.memory);
  Octets bytes = octets("\xff\xff");
  bytes.resize(1000);
  (void)co_await guest->write(bytes);
  const auto message = co_await within(1ms, read_dns_message(*server, 0, &charge));
  CHECK(!message);
  CHECK(charge.bytes() < 3000);

  test.memory.take_always(limit);
  (void)co_await guest->write(bytes);
  const auto refused = co_await within(10s, read_dns_message(*server, 0, &charge));
  test.memory.give_back(limit);
  REQUIRE(refused);
  CHECK(!*refused);
}

Task<> send_half_a_head(Charged& test, FlowRecord& record) {
  auto [guest, near] = memory_pipe(test.executor(), Transport::stream);
  InspectedRequests requests(std::move(near), HttpRequests("a.test", 80), record, &test.memory);
  Octets room(65'536);
  (void)co_await guest->write(octets("GET / HTTP/1.1\r\nHost: a.test\r\nX: " + std::string(30'000, 'a')));
  const auto agreed = co_await within(1ms, requests.read(room));
  CHECK(!agreed);
  CHECK(test.budget.used() >= 30'000);

  test.memory.take_always(limit);
  (void)co_await guest->write(octets(std::string(40'000, 'a')));
  const auto refused = co_await requests.read(room);
  test.memory.give_back(limit);
  CHECK(!refused);
}

// A first query, and a second one when memory is used up; `asked`: those that came through.
Task<> ask_what_nobody_answers(Charged& test, int& asked) {
  auto [guest, server] = memory_pipe(test.executor(), Transport::datagram);
  Signal asks(test.executor());
  const auto answerer = [&](Bytes, Transport) { return never_answer(asked, asks); };
  DnsConversation conversation(test.executor(), *server, answerer, &test.memory);
  test.loop.beside.spawn(conversation.run());
  (void)co_await guest->write(octets("one query"));
  co_await asks.wait();
  CHECK(!test.memory.has_room(limit - (16 << 10) + 1, MemoryUse::progress));

  test.memory.take_always(limit);
  (void)co_await guest->write(octets("another one"));
  CHECK(!co_await within(10ms, asks_again(asks)));
  test.memory.give_back(limit);
  guest->finish();
  co_await test.loop.beside.join();
}

Task<> inspect_tls(Charged& test, FlowRecord& record, std::unique_ptr<Connection> near, Connection& far) {
  Verdict verdict;
  verdict.inspection = Inspection::tls;
  const auto agreed = co_await inspect(std::move(near), far, verdict, record, &test.memory);
  CHECK(!agreed);
}

Task<> open_tls_halfway(Charged& test, FlowRecord& record) {
  auto [guest, near] = memory_pipe(test.executor(), Transport::stream);
  auto [far, server] = memory_pipe(test.executor(), Transport::stream);
  test.loop.beside.spawn(inspect_tls(test, record, std::move(near), *far));
  (void)co_await guest->write(octets("\x16\x03\x01"));
  co_await give_way();
  CHECK(!test.memory.has_room(limit - (32 << 10) + 1, MemoryUse::progress));
  guest->reset();
  co_await test.loop.beside.join();
}

Task<> open_tls_without_memory(Charged& test, FlowRecord& record) {
  auto [guest, near] = memory_pipe(test.executor(), Transport::stream);
  auto [far, server] = memory_pipe(test.executor(), Transport::stream);
  test.memory.take_always(limit);
  co_await inspect_tls(test, record, std::move(near), *far);
  test.memory.give_back(limit);
}

// Sends every flow to a name.
class ToName final : public Policy {
 public:
  Verdict judge(const FlowKey& key) override {
    Verdict verdict{.allowed = true};
    verdict.target = {key.protocol, key.target, "slow.test", key.source};
    return verdict;
  }
};

class NeverDials final : public Dialer {
 public:
  Task<Result<std::unique_ptr<Connection>>> dial(const Target&) override {
    ++dials;
    co_await sleep_for(1h);
    co_return Error{"never"};
  }
  int dials = 0;
};

class Asks final : public Request {
 public:
  explicit Asks(std::optional<Refusal>& refused) : refused_(refused) {}
  const FlowKey& key() const override { return key_; }
  std::unique_ptr<Connection> accept() override { return nullptr; }
  void refuse(Refusal how) override { refused_ = how; }

 private:
  const FlowKey key_{Protocol::tcp, {}, {IpAddress::v4(198, 18, 1, 1), 80}};
  std::optional<Refusal>& refused_;
};

Task<> dial_names(Charged& test) {
  ToName policy;
  NeverDials dialer;
  Ledger ledger(test.events);
  Carrier carrier(policy, dialer, ledger, test.flows, Asker::guest, &test.memory);
  Scope tasks(test.executor());
  std::optional<Refusal> first, second;
  carrier.begin(std::make_unique<Asks>(first), tasks);
  co_await give_way();
  CHECK(dialer.dials == 1);
  CHECK(!test.memory.has_room(limit - (28 << 10) + 1, MemoryUse::progress));

  // Enough for the flow's task, and not for a lookup.
  const std::size_t left = 16 << 10, taken = limit / 4 * 3 - (28 << 10) - left;
  test.memory.take_always(taken);
  carrier.begin(std::make_unique<Asks>(second), tasks);
  co_await give_way();
  test.memory.give_back(taken);
  CHECK(dialer.dials == 1);
  CHECK(second == Refusal::drop);
  co_await tasks.cancel_and_join();
}

}  // namespace

TEST_CASE("a flow to a name is charged for its lookup, and refused where there is no memory") {
  Charged test;
  test.loop.run(dial_names(test));
  CHECK(test.budget.used() <= slack);
}

TEST_CASE("a DNS query in progress is charged, and dropped where there is no memory") {
  Charged test;
  int asked = 0;
  test.loop.run(ask_what_nobody_answers(test, asked));
  CHECK(asked == 1);
  CHECK(test.budget.used() <= slack);
}

TEST_CASE("the beginning of a TLS flow is charged, and refused where there is no memory") {
  Charged test;
  FlowRecord record(1, FlowKey{}, test.events, test.flows);
  test.loop.run(open_tls_halfway(test, record));
  CHECK(test.budget.used() <= slack);
  test.loop.run(open_tls_without_memory(test, record));
  CHECK(record.why.str().find("memory") != std::string::npos);
  CHECK(test.budget.used() <= slack);
}

TEST_CASE("a relayed datagram flow holds no buffer while nothing comes") {
  Charged test;
  test.loop.run(relay_one_datagram(test));
  CHECK(test.budget.used() <= slack);
}

TEST_CASE("a DNS message over TCP takes memory as it comes, not as it claims") {
  Charged test;
  test.loop.run(claim_a_long_message(test));
}

TEST_CASE("half an HTTP head is charged, and refused where there is no memory") {
  Charged test;
  FlowRecord record(1, FlowKey{}, test.events, test.flows);
  test.loop.run(send_half_a_head(test, record));
  CHECK(record.why.str().find("memory") != std::string::npos);
  CHECK(test.budget.used() <= slack);
}
