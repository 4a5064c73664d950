// Echo, errors and fragments: what a router and a host would answer, over IPv4 and IPv6 alike.

#include <algorithm>
#include "tests/support/catch.h"
#include "tests/support/stack_world.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

Task<> read_one(Connection& from, Octets& into, bool& done) {
  into.resize(65'536);
  const auto chunk = co_await from.read(into);
  into.resize(chunk ? chunk->size : 0);
  done = true;
}

Task<> write_one(Connection& to, Octets bytes) { (void)co_await to.write(bytes); }

IpFields udp_fields(const StackWorld& world) {
  return {world.guest(5000).address, world.target(53).address, 17};
}

}  // namespace

TEST_CASE("an echo request is a request of its own protocol, and its reply goes back") {
  const bool v6 = GENERATE(false, true);
  const bool offloads = GENERATE(false, true);
  StackWorld world({Path::generic, v6, offloads});
  const auto guest = world.guest(0).address, target = world.target(0).address;
  const auto data = pattern(57);
  world.device.send({echo_request(guest, target, 0x1234, 7, data)});
  auto request = world.request();
  CHECK(request->key() == FlowKey{Protocol::icmp, {guest, 0x1234}, {target, 0}});
  auto near = request->accept();
  REQUIRE(near);
  Octets message;
  bool done = false;
  world.scope.spawn(read_one(*near, message, done));
  REQUIRE(world.until([&] { return done; }));
  REQUIRE(message.size() == 8 + data.size());

  message[0] = std::byte{static_cast<std::uint8_t>(v6 ? 129 : 0)};
  message[4] = message[5] = std::byte{0xee};  // a ping socket's own identifier, which the guest must not see
  world.scope.spawn(write_one(*near, message));
  REQUIRE(world.until([&] { return !world.others.empty(); }));
  const auto& reply = world.others[0];
  CHECK(int{reply.type} == (v6 ? 129 : 0));
  CHECK(reply.identifier == 0x1234);
  CHECK(reply.sequence == 7);
  CHECK(reply.payload == data);
  CHECK(reply.from == target);
  CHECK(world.bad_sums == 0);

  world.device.send({echo_request(guest, target, 0x1234, 8, data)});
  world.device.send({echo_request(guest, target, 0x1235, 1, data)});
  world.rest();
  CHECK(world.requests.size() == 1);  // another identifier is another flow
}

TEST_CASE("the gateway and the name server answer echo requests themselves") {
  const bool v6 = GENERATE(false, true);
  StackWorld world({Path::fast, v6, true});
  const NetworkOptions network;
  const auto data = pattern(1000);
  for (const auto& target :
       {v6 ? network.gateway6 : network.gateway4, v6 ? network.name_server6 : network.name_server4})
    world.device.send({echo_request(world.guest(0).address, target, 9, 1, data, 1)});
  world.rest();
  REQUIRE(world.others.size() == 2);
  for (const auto& reply : world.others) {
    CHECK(int{reply.type} == (v6 ? 129 : 0));
    CHECK(reply.identifier == 9);
    CHECK(reply.payload == data);
  }
  CHECK(world.bad_sums == 0);
  CHECK(world.stack->flows() == 0);
}

TEST_CASE("a packet at its last hop is time exceeded, and says which packet") {
  const bool v6 = GENERATE(false, true);
  StackWorld world({Path::fast, v6, true});
  IpFields ip = udp_fields(world);
  ip.hop_limit = 1;
  const auto datagram = udp_datagram(world.guest(5000), world.target(33'434), pattern(2000));
  world.device.send({ip_packet(ip, datagram)});
  world.rest();
  REQUIRE(world.others.size() == 1);
  const auto& error = world.others[0];
  CHECK(int{error.type} == (v6 ? 3 : 11));
  CHECK(int{error.code} == 0);
  CHECK(error.from == (v6 ? NetworkOptions{}.gateway6 : NetworkOptions{}.gateway4));
  CHECK(error.size == (v6 ? 1280 : 576));
  CHECK(std::equal(datagram.begin(), datagram.begin() + 500, error.payload.begin() + (v6 ? 40 : 20)));
  CHECK(world.bad_sums == 0);
  CHECK(world.requests.empty());
}

TEST_CASE("fragments become their packet, in any order") {
  const bool v6 = GENERATE(false, true);
  const bool backwards = GENERATE(false, true);
  StackWorld world({Path::fast, v6, true});
  const auto payload = pattern(20'000);
  auto pieces =
      fragments(udp_fields(world), udp_datagram(world.guest(5000), world.target(53), payload), 1400, 77);
  if (backwards) std::reverse(pieces.begin(), pieces.end());
  for (const auto& piece : pieces) world.device.send({piece});
  auto far = world.carry(world.request());
  auto& end = *far;
  REQUIRE(world.until([&] { return end.read_datagrams(), !end.datagrams.empty(); }));
  CHECK(end.datagrams[0] == payload);
}

TEST_CASE("fragments that overlap end their packet") {
  const bool v6 = GENERATE(false, true);
  StackWorld world({Path::fast, v6, true});
  const auto ip = udp_fields(world);
  const auto whole = udp_datagram(world.guest(5000), world.target(53), pattern(792));
  world.device.send({fragment(ip, Bytes(whole).first(400), 0, true, 5)});
  world.device.send({fragment(ip, Bytes(whole).subspan(392, 8), 392, true, 5)});
  world.device.send({fragment(ip, Bytes(whole).subspan(400), 400, false, 5)});
  world.rest();
  CHECK(world.requests.empty());
  CHECK(world.others.empty());
}

TEST_CASE("a flood of first fragments is bounded, and whole packets still pass") {
  const bool v6 = GENERATE(false, true);
  StackWorld world({Path::fast, v6, true});
  const auto ip = udp_fields(world);
  const auto whole = udp_datagram(world.guest(5000), world.target(53), pattern(792));
  for (std::uint32_t id = 0; id < 10'000; ++id)
    world.device.send({fragment(ip, Bytes(whole).first(400), 0, true, id)});
  world.device.send({fragment(ip, Bytes(whole).subspan(400), 400, false, 9'999)});
  world.rest();
  CHECK(world.requests.size() == 1);
  world.device.send({fragment(ip, Bytes(whole).subspan(400), 400, false, 1)});
  world.rest();
  CHECK(world.requests.size() == 1);
}

TEST_CASE("packets that ask to be source-routed are nobody's") {
  StackWorld world({});
  IpFields ip = udp_fields(world);
  ip.options = octets({"\x83\x07\x04\xc0\x00\x02\x01\x00", 8});
  const auto datagram = udp_datagram(world.guest(5000), world.target(53), octets("x"));
  world.device.send({ip_packet(ip, datagram)});

  const Endpoint from{NetworkOptions{}.guest6, 5000}, to{*IpAddress::parse("2001:db8::7"), 53};
  IpFields routed{from.address, to.address, 17};
  routed.next_header = 43;
  routed.options = octets({"\x11\x02\x00\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 24});
  world.device.send({ip_packet(routed, udp_datagram(from, to, octets("x")))});
  world.rest();
  CHECK(world.requests.empty());
  CHECK(world.others.empty());
}

TEST_CASE("a protocol we do not carry is prohibited") {
  const bool v6 = GENERATE(false, true);
  StackWorld world({Path::fast, v6, true});
  world.device.send({ip_packet({world.guest(0).address, world.target(0).address, 132}, pattern(40))});
  world.rest();
  REQUIRE(world.others.size() == 1);
  CHECK(int{world.others[0].type} == (v6 ? 1 : 3));
  CHECK(int{world.others[0].code} == (v6 ? 1 : 13));
}

TEST_CASE("what is not for one host, or comes from nobody, is dropped") {
  StackWorld world({});
  const auto guest = world.guest(5000);
  const Endpoint anybody{IpAddress::v4(0, 0, 0, 0), 5000}, everybody{IpAddress::v4(255, 255, 255, 255), 53};
  const Endpoint group{IpAddress::v4(224, 0, 0, 251), 53}, group6{*IpAddress::parse("ff02::fb"), 53};
  const Endpoint guest6{NetworkOptions{}.guest6, 5000}, none6{IpAddress(), 53};
  for (const auto& [from, to] : {std::pair{anybody, world.target(53)},
                                 {guest, everybody},
                                 {guest, group},
                                 {guest, anybody},
                                 {guest6, group6},
                                 {guest6, none6}}) {
    world.device.send({udp_packet(from, to, octets("x"))});
    TcpFields tcp;
    tcp.flags = flag::syn;
    world.device.send({tcp_packet(from, to, tcp)});
  }
  world.device.send({Octets{}});
  world.device.send({Octets(3)});
  world.rest();
  CHECK(world.requests.empty());
  CHECK(world.others.empty());
}
