// A guest's SYN is a question; what the answer looks like on the wire.

#include <algorithm>
#include "tests/support/catch.h"
#include "tests/support/stack_world.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

constexpr std::uint8_t syn_ack = flag::syn | flag::ack;

std::size_t count_requests(const GuestTcp& guest, std::uint8_t flags) {
  return static_cast<std::size_t>(std::count_if(guest.seen.begin(), guest.seen.end(),
                                                [&](const Seen& s) { return s.tcp.flags == flags; }));
}

struct Answer {
  Refusal how;
  std::uint8_t type4, code4, type6, code6;
};

}  // namespace

TEST_CASE("a SYN is held, unanswered, until its request is accepted") {
  const auto setting = GENERATE(from_range(every_setting()));
  INFO(setting);
  StackWorld world(setting);
  auto& guest = world.tcp();
  guest.syn();
  auto request = world.request();
  world.rest();
  CHECK(guest.seen.empty());
  CHECK(request->key() == FlowKey{Protocol::tcp, guest.own(), guest.target()});

  auto far = world.carry(std::move(request));
  REQUIRE(far);
  REQUIRE(world.until([&] { return guest.connected; }));
  CHECK(count_requests(guest, syn_ack) == 1);
  CHECK(world.bad_sums == 0);
}

TEST_CASE("a SYN that is retransmitted while it is held makes no second request") {
  StackWorld world({});
  auto& guest = world.tcp();
  for (int i = 0; i < 5; ++i) guest.syn();
  auto request = world.request();
  world.rest();
  CHECK(world.requests.empty());
  const auto near = request->accept();
  REQUIRE(near);
  guest.syn();
  world.rest();
  CHECK(guest.connected);
  CHECK(world.requests.empty());
  CHECK(world.stack->flows() == 1);
}

TEST_CASE("a SYN that offers ECN is a request like any other") {
  StackWorld world({});
  SECTION("while an earlier one is held, that was reset") {
    auto& guest = world.tcp();
    guest.syn();
    auto request = world.request();
    guest.reset();
    guest.offers_ecn = true;
    guest.syn();
    world.rest();
    const auto near = request->accept();
    CHECK(near);
    CHECK(world.until([&] { return guest.connected; }));
  }
  SECTION("from a port whose connection is over") {
    auto [guest, far] = world.connected();
    far->finish();
    REQUIRE(world.until([&] { return guest.got_fin; }));
    guest.finish(octets("bye"));
    auto& again = world.tcp();
    again.offers_ecn = true;
    again.syn();
    CHECK(world.request());
    CHECK(!again.got_reset);
  }
}

TEST_CASE("accept gives nothing once the guest has reset its SYN") {
  StackWorld world({});
  auto& guest = world.tcp();
  guest.syn();
  auto request = world.request();
  guest.reset();
  world.rest();
  SECTION("and its port is free again after") {
    CHECK(request->accept() == nullptr);
    world.rest();
    CHECK(world.stack->flows() == 0);
    guest.syn();
    CHECK(world.request()->accept() != nullptr);
  }
  SECTION("and a refusal says nothing") {
    request->refuse(Refusal::host_unreachable);
    world.rest();
    CHECK(guest.seen.empty());
    CHECK(world.others.empty());
  }
  SECTION("unless it asked again meanwhile, which is the same request") {
    guest.syn();
    world.rest();
    CHECK(world.requests.empty());
    const auto near = request->accept();
    CHECK(world.until([&] { return guest.connected; }));
  }
}

TEST_CASE("SYNs that are reset at once count as held until their requests are over") {
  StackOptions options;
  options.max_pending_syns = 64;
  StackWorld world({}, options);
  for (std::uint16_t port = 1; port <= 1000; ++port) {
    auto& guest = world.tcp(port);
    guest.syn();
    guest.reset();
  }
  world.rest();
  CHECK(world.requests.size() == 64);
  for (auto& request : world.requests) CHECK(request->accept() == nullptr);
  world.rest();
  CHECK(world.stack->flows() == 0);
}

TEST_CASE("a request that is let go unanswered leaves silence, and the port free") {
  StackWorld world({});
  auto& guest = world.tcp();
  guest.syn();
  world.request().reset();
  world.rest();
  CHECK(guest.seen.empty());
  CHECK(world.stack->flows() == 0);
  guest.syn();
  CHECK(world.request() != nullptr);
}

TEST_CASE("a refused SYN is answered as the refusal says, and with nothing else") {
  const auto answer =
      GENERATE(Answer{Refusal::host_unreachable, 3, 1, 1, 3},
               Answer{Refusal::network_unreachable, 3, 0, 1, 0}, Answer{Refusal::prohibited, 3, 13, 1, 1});
  const bool v6 = GENERATE(false, true);
  const bool offloads = GENERATE(false, true);
  StackWorld world({Path::fast, v6, offloads});
  auto& guest = world.tcp();
  guest.syn();
  world.request()->refuse(answer.how);
  world.rest();
  CHECK(guest.seen.empty());
  REQUIRE(world.others.size() == 1);
  const auto& error = world.others[0];
  CHECK(error.is_icmp());
  CHECK(error.from == (v6 ? NetworkOptions{}.gateway6 : NetworkOptions{}.gateway4));
  CHECK(error.to == guest.own().address);
  CHECK(int{error.type} == int{v6 ? answer.type6 : answer.type4});
  CHECK(int{error.code} == int{v6 ? answer.code6 : answer.code4});
  // The quotation is the SYN itself, by which the guest's kernel finds its socket.
  const auto quoted = see({error.payload, {}});
  CHECK(quoted.from_port == guest.own().port);
  CHECK(quoted.to == guest.target().address);
  CHECK(quoted.tcp.flags == flag::syn);
  CHECK(world.bad_sums == 0);
  CHECK(world.stack->flows() == 0);
}

TEST_CASE("a SYN that is refused with a reset gets an RST that acknowledges it") {
  const bool v6 = GENERATE(false, true);
  const bool offloads = GENERATE(false, true);
  StackWorld world({Path::fast, v6, offloads});
  auto& guest = world.tcp();
  guest.syn();
  world.request()->refuse(Refusal::reset);
  world.rest();
  REQUIRE(guest.seen.size() == 1);
  CHECK(guest.seen[0].tcp.flags == (flag::rst | flag::ack));
  CHECK(guest.seen[0].tcp.acknowledged == 0xffff'f001);
  CHECK(world.others.empty());
  CHECK(world.bad_sums == 0);
}

TEST_CASE("a SYN that is dropped gets no answer") {
  StackWorld world({});
  auto& guest = world.tcp();
  guest.syn();
  world.request()->refuse(Refusal::drop);
  world.rest();
  CHECK(guest.seen.empty());
  CHECK(world.others.empty());
  CHECK(world.stack->flows() == 0);
}

TEST_CASE("a segment of no connection gets an RST, and an RST gets nothing") {
  StackWorld world({});
  auto& guest = world.tcp();
  guest.send(octets("hello"));
  world.rest();
  CHECK(guest.got_reset);
  CHECK(guest.seen.size() == 1);
  guest.reset();
  world.rest();
  CHECK(guest.seen.size() == 1);
  CHECK(world.requests.empty());
}

TEST_CASE("100,000 SYNs hold no more requests than the limit, and the next ones still come after") {
  StackOptions options;
  options.max_pending_syns = 256;
  StackWorld world({}, options);
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    const Endpoint from{IpAddress::v4(10, 0, static_cast<std::uint8_t>(i >> 16), 1),
                        static_cast<std::uint16_t>(i)};
    TcpFields tcp;
    tcp.flags = flag::syn;
    world.device.send({tcp_packet(from, world.target(80), tcp)});
    if (i % 1000 == 0) world.rest();
  }
  world.rest();
  CHECK(world.requests.size() == options.max_pending_syns);
  CHECK(world.stack->flows() == options.max_pending_syns);
  world.requests.clear();
  world.rest();
  CHECK(world.stack->flows() == 0);
  world.tcp().syn();
  CHECK(world.request()->accept() != nullptr);
}

TEST_CASE("data on a SYN is not kept while the SYN is held, and comes again after") {
  const bool v6 = GENERATE(false, true);
  StackWorld world({Path::fast, v6, true});
  auto& guest = world.tcp();
  guest.syn(pattern(50'000));
  SECTION("accepted") {
    auto far = world.carry(world.request());
    REQUIRE(world.until([&] { return guest.connected; }));
    guest.send(octets("hello"));
    CHECK(world.until([&] { return far->read(), text(far->received) == "hello"; }));
  }
  SECTION("refused") {
    world.request()->refuse(Refusal::reset);
    world.rest();
    CHECK(guest.got_reset);
  }
  SECTION("unreachable") {
    world.request()->refuse(Refusal::host_unreachable);
    world.rest();
    REQUIRE(world.others.size() == 1);
    CHECK(world.others[0].size <= 1280);
  }
}
