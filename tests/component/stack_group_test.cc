// Two stacks of one sandbox, and packets that come to the wrong one's queue.

#include "tests/support/catch.h"

#include "netstack/stack_group.h"
#include "tests/support/stack_world.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

struct StackPair {
  explicit StackPair(bool v6 = false)
      : home({Path::fast, v6, true}, options()), other({Path::fast, v6, true}, options()) {}

  StackOptions options() {
    StackOptions with;
    with.group = &group;
    return with;
  }
  // Both work until it is so.
  bool until(const std::function<bool()>& fact) {
    const auto deadline = Clock::now() + 10s;
    while (!fact() && Clock::now() < deadline) {
      home.rest();
      other.rest();
    }
    return fact();
  }
  // What the guest sends to `home` from here on comes to the other's queue.
  void divert() {
    home.device.diverts = [this](const Passing& packet) { return other.device.send(packet), true; };
  }

  StackGroup group;
  StackWorld home, other;
};

}  // namespace

TEST_CASE("a packet that comes to another queue than its flow's goes to its flow") {
  StackPair pair(GENERATE(false, true));
  auto [guest, far] = pair.home.connected();
  auto& end = *far;
  pair.divert();
  guest.send(octets("over there"));
  REQUIRE(pair.until([&] { return end.read(), text(end.received) == "over there"; }));
  CHECK(pair.other.requests.empty());
  CHECK(pair.other.others.empty());
  CHECK(pair.other.stack->flows() == 0);

  end.send(octets("and back"));
  CHECK(pair.until([&] { return text(guest.received) == "and back"; }));
  guest.finish();
  end.finish();
  CHECK(pair.until([&] { return end.read(), end.ended && pair.home.stack->flows() == 0; }));
}

TEST_CASE("a flow that has ended is nobody's: its key begins anew wherever it comes") {
  StackPair pair;
  {
    auto [guest, far] = pair.home.connected();
    guest.reset();
    REQUIRE(pair.until([&] { return pair.home.stack->flows() == 0; }));
    pair.home.forget_guest(guest);
  }
  auto [again, far] = pair.other.connected();
  auto& end = *far;
  again.send(octets("anew"));
  CHECK(pair.until([&] { return end.read(), text(end.received) == "anew"; }));
  CHECK(pair.home.stack->flows() == 0);
}

TEST_CASE("a SYN that comes to another queue than its port's last flow begins the next one") {
  StackPair pair;
  pair.home.far_buffer = 8192;
  {
    auto [guest, far] = pair.home.connected();
    guest.mss = 10'000;
    guest.send_all(pattern(600'000));
    guest.finish();
    far->finish();
    REQUIRE(pair.home.until([&] { return guest.got_fin && guest.acknowledged_bytes() > 600'000; }));
    REQUIRE(pair.home.stack->flows() == 1);  // its far end has not read all of it
    pair.divert();
    auto& again = pair.home.tcp();
    again.syn();
    CHECK(pair.until([&] { return !pair.home.requests.empty() || again.got_reset; }));
    CHECK(!again.got_reset);
  }
}

TEST_CASE("a flow that we open takes its key over from the guest's, wherever that lives") {
  StackPair pair;
  StackWorld& before = GENERATE(false, true) ? pair.home : pair.other;
  const auto guest = before.guest(5000), client = before.target(7000);
  before.device.send({udp_packet(guest, client, octets("are you there?"))});
  const auto old_far = before.carry(before.request());
  REQUIRE(before.stack->flows() == 1);

  std::unique_ptr<Connection> connection;
  const auto connect = [](Stack& stack, Endpoint from, Endpoint to,
                          std::unique_ptr<Connection>& into) -> Task<> {
    auto made = co_await stack.connect(Protocol::udp, from, to);
    if (made) into = std::move(*made);
  };
  pair.home.scope.spawn(connect(*pair.home.stack, client, guest, connection));
  pair.home.rest();
  REQUIRE(connection);
  CHECK(pair.until([&] { return pair.home.stack->flows() == 1 && pair.other.stack->flows() == 0; }));

  const auto far = pair.home.carry(std::move(connection), {Protocol::udp, client, guest}, true);
  before.device.send({udp_packet(guest, client, octets("I am"))});
  REQUIRE(pair.until([&] { return far->read_datagrams(), !far->datagrams.empty(); }));
  CHECK(text(far->datagrams[0]) == "I am");

  pair.home.scope.spawn(connect(*pair.home.stack, client, guest, connection));
  pair.home.rest();
  CHECK(!connection);  // one of ours is not taken over
}

TEST_CASE("fragments, which come to a queue of their own, reach the conversation they belong to") {
  StackPair pair;
  const auto guest = pair.home.guest(5000), target = pair.home.target(53);
  pair.home.device.send({udp_packet(guest, target, octets("first"))});
  auto far = pair.home.carry(pair.home.request());
  auto& end = *far;
  REQUIRE(pair.until([&] { return end.read_datagrams(), end.datagrams.size() == 1; }));
  const auto payload = pattern(20'000);
  for (const auto& piece :
       fragments({guest.address, target.address, 17}, udp_datagram(guest, target, payload), 1400, 77))
    pair.other.device.send({piece});
  REQUIRE(pair.until([&] { return end.read_datagrams(), end.datagrams.size() == 2; }));
  CHECK(end.datagrams[1] == payload);
  CHECK(pair.other.requests.empty());
}

TEST_CASE("a stack's flows are nobody's once it has gone") {
  StackGroup group;
  StackOptions options;
  options.group = &group;
  StackWorld stays({}, options);
  {
    StackWorld goes({}, options);
    auto [guest, far] = goes.connected();
    MemoryBudget memory;
    CHECK(group.is_elsewhere({Protocol::tcp, guest.own(), guest.target()}, StrayQueue(memory)));
  }
  auto [guest, far] = stays.connected();
  CHECK(stays.stack->flows() == 1);
}

TEST_CASE("packets that nobody fetches are bounded") {
  MemoryBudget memory;
  StrayQueue queue(memory);
  for (std::size_t i = 0; i < StrayQueue::most + 10; ++i) queue.push({octets("packet"), {}});
  CHECK(queue.take().size() == StrayQueue::most);
  CHECK(queue.take().empty());
}

TEST_CASE("a sandbox's limits are shared out among its stacks") {
  const StackOptions all, half = all.share_of(2);
  CHECK(half.max_pending_syns == all.max_pending_syns / 2);
  CHECK(half.max_tcp_flows == all.max_tcp_flows / 2);
  CHECK(half.max_buffers == all.max_buffers / 2);
  CHECK(half.ample_bytes == all.ample_bytes / 2);
}
