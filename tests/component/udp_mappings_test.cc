// One outside port for each UDP socket of the guest, and answers from other ports of its peers.
//
//   guest 10.0.2.100:5000 ─► UdpMappings ─► 127.0.0.1 (one port) ─► servers at 127.0.0.1, 127.0.0.2

#include "host/dialers/udp_mappings.h"

#include <sys/socket.h>

#include "host/carry/peer_request.h"
#include "host/dialers/direct_dialer.h"
#include "tests/support/catch.h"
#include "tests/support/stack_world.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

const IpAddress here = IpAddress::v4(127, 0, 0, 1), neighbour = IpAddress::v4(127, 0, 0, 2);

// A server outside, at a port of its own.
struct UdpServer {
  explicit UdpServer(const IpAddress& address) : socket(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    SocketAddress any(Endpoint{address, 0});
    REQUIRE(::bind(socket.get(), any.get(), any.length) == 0);
    ::getsockname(socket.get(), any.get(), &any.length);
    own = any.endpoint();
  }
  // Who sent the next datagram.
  std::optional<Endpoint> next() {
    SocketAddress from;
    char room[64];
    if (::recvfrom(socket.get(), room, sizeof room, 0, from.get(), &from.length) < 0) return std::nullopt;
    return from.endpoint();
  }
  void send(const Endpoint& to, std::string_view words) {
    const SocketAddress address(to);
    CHECK(::sendto(socket.get(), words.data(), words.size(), 0, address.get(), address.length) >= 0);
  }

  UniqueFd socket;
  Endpoint own;
};

// The guest behind a stack, whose flows are dialled with mappings, as a Worker does.
struct MappingsWorld {
  MemoryBudget budget{1 << 20};
  MemoryShare memory{budget};
  StackWorld stack{{}};
  UdpMappings mappings{stack.context.get_executor(), stack.scope, stack.flows,
                       [this](const UdpMappings::Unasked& what) { heard(what); }, &memory};
  DirectDialer dialer{stack.context.get_executor(), &mappings};
  std::vector<FlowKey> unasked;  // of new flows
  std::function<bool(const FlowKey&)> allows = [](const FlowKey&) { return true; };

  void heard(const UdpMappings::Unasked& what) {
    if (what.flow) {
      stack.stack->deliver(what.key, what.datagram);
      return;
    }
    unasked.push_back(what.key);
    if (allows(what.key)) stack.dial(std::make_unique<PeerRequest>(*stack.stack, what), dialer);
  }
  void send(const Endpoint& to, std::string_view words = "hello", std::uint16_t from = 5000) {
    stack.device.send({udp_packet(stack.guest(from), to, octets(words))});
    stack.until([&] {
      for (; !stack.requests.empty(); stack.requests.pop_front())
        stack.dial(std::move(stack.requests.front()), dialer);
      return true;
    });
  }
  Endpoint seen_by(UdpServer& server) {
    std::optional<Endpoint> from;
    REQUIRE(stack.until([&] {
      for (; !stack.requests.empty(); stack.requests.pop_front())
        stack.dial(std::move(stack.requests.front()), dialer);
      return (from = server.next()).has_value();
    }));
    return *from;
  }
  // The guest gets this, from there.
  bool gets(std::string_view words, const Endpoint& from) {
    return stack.until([&] {
      for (const auto& seen : stack.others)
        if (text(seen.payload) == words) return Endpoint{seen.from, seen.from_port} == from;
      return false;
    });
  }
};

}  // namespace

TEST_CASE("a UDP socket of the guest has one port outside, whatever it sends to") {
  MappingsWorld world;
  UdpServer one(here), two(here), far(neighbour);
  world.send(one.own);
  const auto first = world.seen_by(one);
  world.send(two.own);
  CHECK(world.seen_by(two) == first);
  world.send(far.own);
  CHECK(world.seen_by(far).port == first.port);
  world.send(one.own, "another socket", 6000);
  CHECK(world.seen_by(one).port != first.port);
  CHECK(world.mappings.size() == 2);
  // Each flow's answers are its own.
  for (UdpServer* server : {&one, &two, &far}) server->send(first, "to " + server->own.to_string());
  for (UdpServer* server : {&one, &two, &far})
    CHECK(world.gets("to " + server->own.to_string(), server->own));
  CHECK(world.unasked.empty());
}

TEST_CASE("a server may answer from another port, and goes on there") {
  MappingsWorld world;
  UdpServer server(here), transfer(here);
  world.send(server.own, "read request");
  const auto guest = world.seen_by(server);
  transfer.send(guest, "block 1");
  REQUIRE(world.gets("block 1", transfer.own));
  REQUIRE(world.unasked.size() == 1);
  CHECK(world.unasked[0] == FlowKey{Protocol::udp, world.stack.guest(5000), transfer.own});
  world.send(transfer.own, "acknowledged 1");
  CHECK(world.seen_by(transfer) == guest);
  transfer.send(guest, "block 2");
  CHECK(world.gets("block 2", transfer.own));
  CHECK(world.unasked.size() == 1);
  CHECK(world.stack.stack->flows() == 2);
}

TEST_CASE("many datagrams at once from another port arrive whole and in order") {
  MappingsWorld world;
  UdpServer server(here), transfer(here);
  world.send(server.own);
  const auto guest = world.seen_by(server);
  for (int i = 0; i < 10; ++i) transfer.send(guest, "part " + std::to_string(i));
  REQUIRE(world.gets("part 9", transfer.own));
  std::string all;
  for (const auto& seen : world.stack.others) all += text(seen.payload).substr(5);
  CHECK(all == "0123456789");
}

TEST_CASE("an address to which the guest has not sent is not heard") {
  MappingsWorld world;
  UdpServer server(here), stranger(neighbour), transfer(here);
  world.send(server.own);
  const auto guest = world.seen_by(server);
  stranger.send(guest, "let me in");
  transfer.send(guest, "known");  // behind it
  REQUIRE(world.gets("known", transfer.own));
  CHECK(world.unasked.size() == 1);
  CHECK(world.stack.others.size() == 1);
}

TEST_CASE("each new peer is judged, and refused in silence") {
  MappingsWorld world;
  UdpServer server(here), refused(here), allowed(here);
  world.allows = [&](const FlowKey& key) { return key.target == allowed.own; };
  world.send(server.own);
  const auto guest = world.seen_by(server);
  refused.send(guest, "refused");
  allowed.send(guest, "allowed");
  REQUIRE(world.gets("allowed", allowed.own));
  CHECK(world.unasked.size() == 2);
  CHECK(world.stack.others.size() == 1);
  CHECK(world.stack.stack->flows() == 2);
}

TEST_CASE("a peer cannot begin flows without end") {
  MappingsWorld world;
  UdpServer server(here);
  world.send(server.own);
  const auto guest = world.seen_by(server);
  world.allows = [](const FlowKey&) { return false; };
  for (int i = 0; i < 3 * UdpMappings::max_new_peers; ++i) {
    UdpServer(here).send(guest, "again");
    world.stack.rest();
  }
  CHECK(world.unasked.size() == UdpMappings::max_new_peers);
  world.mappings.check();
  UdpServer(here).send(guest, "after a while");
  CHECK(world.stack.until([&] { return world.unasked.size() == UdpMappings::max_new_peers + 1; }));
}

TEST_CASE("a mapping lasts as long as one of its flows") {
  MappingsWorld world;
  UdpServer one(here), two(here);
  world.send(one.own);
  const auto first = world.seen_by(one);
  world.mappings.check();
  CHECK(world.mappings.size() == 1);
  world.send(two.own);
  CHECK(world.seen_by(two) == first);
  const auto end = [&](const Endpoint& target) {
    LiveFlows::Walk walk(world.stack.flows);
    while (FlowRecord* flow = walk.next())
      if (flow->key.target == target) return flow->cut("over");
  };
  end(one.own);
  world.stack.rest();
  world.mappings.check();
  CHECK(world.mappings.size() == 1);
  world.send(one.own);
  CHECK(world.seen_by(one) == first);
  end(one.own);
  end(two.own);
  world.stack.rest();
  world.mappings.check();
  CHECK(world.mappings.size() == 0);
  world.stack.rest();  // the tasks of closed mappings end
}

TEST_CASE("a mapping is charged, and a socket for which there is no memory has a port for each flow") {
  MappingsWorld world;
  const auto room = [&](std::size_t bytes) { return world.memory.has_room(bytes, MemoryUse::progress); };
  UdpServer one(here), two(here);
  world.send(one.own);
  const auto first = world.seen_by(one);
  CHECK(!room(world.budget.limit() - 4096));
  CHECK(room(world.budget.limit() - 8192));

  world.memory.take_always(world.budget.limit());
  world.send(one.own, "another socket", 6000);
  const auto other = world.seen_by(one);
  CHECK(world.mappings.size() == 1);
  world.send(two.own, "another socket", 6000);
  CHECK(world.seen_by(two) != other);
  world.send(two.own);
  CHECK(world.seen_by(two) == first);
  world.memory.give_back(world.budget.limit());
}
