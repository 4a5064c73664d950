// Datagrams keep their boundaries and their order, on the fast path and the generic one.

#include <sys/socket.h>

#include <algorithm>

#include "host/flow/relay.h"
#include "host/flow/socket_connection.h"
#include "tests/support/catch.h"
#include "tests/support/stack_world.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

void send_udp(StackWorld& world, Bytes payload, std::uint16_t from = 5000, std::uint16_t to = 53) {
  world.device.send({udp_packet(world.guest(from), world.target(to), payload)});
}

std::unique_ptr<Far> begin(StackWorld& world, Bytes first = octets("first")) {
  send_udp(world, first);
  return world.carry(world.request());
}

std::vector<Octets> payloads(const std::deque<Seen>& seen) {
  std::vector<Octets> all;
  for (const auto& s : seen) {
    const std::size_t each = s.offload.segmentation ? s.offload.segment_size : s.payload.size();
    if (s.payload.empty()) all.emplace_back();
    for (std::size_t at = 0; at < s.payload.size(); at += each)
      all.emplace_back(s.payload.begin() + static_cast<long>(at),
                       s.payload.begin() + static_cast<long>(std::min(at + each, s.payload.size())));
  }
  return all;
}

}  // namespace

TEST_CASE("datagrams keep their boundaries both ways, the empty and the largest too") {
  const auto setting = GENERATE(from_range(every_setting()));
  INFO(setting);
  StackWorld world(setting);
  auto far = begin(world);
  auto& end = *far;
  const std::vector<Octets> all{octets("a"),     {}, pattern(1400), pattern(1400, 2), pattern(700),
                                pattern(65'507), {}};
  for (const auto& datagram : all) send_udp(world, datagram);
  REQUIRE(world.until([&] { return end.read_datagrams(), end.datagrams.size() == 1 + all.size(); }));
  CHECK(text(end.datagrams[0]) == "first");
  CHECK(std::equal(all.begin(), all.end(), end.datagrams.begin() + 1));

  for (const auto& datagram : all) CHECK(::send(end.fd(), datagram.data(), datagram.size(), 0) >= 0);
  REQUIRE(world.until([&] { return payloads(world.others).size() == all.size(); }));
  CHECK(payloads(world.others) == all);
  for (const auto& seen : world.others) {
    CHECK(seen.from_port == 53);
    CHECK(seen.to_port == 5000);
    CHECK(seen.from == world.target(53).address);
  }
  CHECK(world.bad_sums == 0);
}

TEST_CASE("a burst of datagrams arrives in order, put together where the device can cut them") {
  const auto setting = GENERATE(from_range(every_setting()));
  INFO(setting);
  StackWorld world(setting);
  auto far = begin(world);
  auto& end = *far;
  std::vector<Octets> all;
  for (std::uint32_t i = 0; i < 60; ++i) all.push_back(pattern(i % 20 == 19 ? 300 : 1200, i + 1));
  for (const auto& datagram : all) send_udp(world, datagram);
  REQUIRE(world.until([&] { return end.read_datagrams(), end.datagrams.size() == 1 + all.size(); }));
  CHECK(std::equal(all.begin(), all.end(), end.datagrams.begin() + 1));

  for (const auto& datagram : all) far->send(datagram);
  REQUIRE(world.until([&] { return payloads(world.others).size() == all.size(); }));
  CHECK(payloads(world.others) == all);
  if (setting.path == Path::fast && setting.offloads) CHECK(world.others.size() < all.size());
  if (!setting.offloads) CHECK(world.others.size() == all.size());
  CHECK(world.bad_sums == 0);
}

TEST_CASE("datagrams that the guest's kernel has put together are cut again") {
  const auto path = GENERATE(Path::fast, Path::generic);
  const bool v6 = GENERATE(false, true);
  StackWorld world({path, v6, true});
  auto far = begin(world);
  auto& end = *far;
  const auto bytes = pattern(2500);
  Passing packet{udp_packet(world.guest(5000), world.target(53), bytes)};
  packet.offload.segmentation = Offload::segment_udp;
  packet.offload.segment_size = 1000;
  world.device.send(packet);
  REQUIRE(world.until([&] { return end.read_datagrams(), end.datagrams.size() == 4; }));
  CHECK(end.datagrams[1].size() == 1000);
  CHECK(end.datagrams[2].size() == 1000);
  CHECK(end.datagrams[3] == Octets(bytes.begin() + 2000, bytes.end()));
}

TEST_CASE("datagrams to a unix socket keep their boundaries") {
  StackWorld world({});
  send_udp(world, pattern(100, 1));
  auto request = world.request();
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
  auto far = std::make_unique<SocketConnection>(world.context.get_executor(), UniqueFd(ends[0]),
                                                Transport::datagram);
  Far end{UniqueFd(ends[1])};
  auto record = std::make_unique<FlowRecord>(1, request->key(), world, world.flows);
  world.scope.spawn(relay(request->accept(), std::move(far), std::move(record)));
  for (std::uint32_t i = 2; i <= 5; ++i) send_udp(world, pattern(100, i));
  REQUIRE(world.until([&] { return end.read_datagrams(), end.datagrams.size() >= 5; }));
  for (std::uint32_t i = 1; i <= 5; ++i) CHECK(end.datagrams[i - 1] == pattern(100, i));
}

TEST_CASE("datagrams too large to be put together for the far link go one by one") {
  StackWorld world({});
  auto far = begin(world);
  auto& end = *far;
  const auto bytes = pattern(9000);
  // More pieces than UDP_SEGMENT takes: the kernel refuses the whole.
  Passing packet{udp_packet(world.guest(5000), world.target(53), bytes)};
  packet.offload.segmentation = Offload::segment_udp;
  packet.offload.segment_size = 60;
  world.device.send(packet);
  REQUIRE(world.until([&] { return end.read_datagrams(), end.datagrams.size() == 151; }));
  Octets all;
  for (std::size_t i = 1; i < end.datagrams.size(); ++i)
    all.insert(all.end(), end.datagrams[i].begin(), end.datagrams[i].end());
  CHECK(all == bytes);
}

TEST_CASE("datagrams that wait for an answer are bounded, and the oldest are kept") {
  const auto path = GENERATE(Path::fast, Path::generic);
  StackWorld world({path, false, true});
  for (std::uint32_t i = 0; i < 1000; ++i) send_udp(world, pattern(1000, i + 1));
  world.rest();
  CHECK(world.requests.size() == 1);
  world.far_buffer = 4 << 20;
  auto far = world.carry(world.request());
  auto& end = *far;
  world.rest();
  REQUIRE(world.until([&] { return end.read_datagrams(), end.datagrams.size() >= 200; }));
  CHECK(end.datagrams.size() <= 256 * 1024 / 1000);
  CHECK(end.datagrams[0] == pattern(1000, 1));
  CHECK(end.datagrams[100] == pattern(1000, 101));
}

TEST_CASE("a refused datagram is answered by ICMP, from its target when nobody listens there") {
  const bool v6 = GENERATE(false, true);
  StackWorld world({Path::fast, v6, false});
  send_udp(world, octets("anybody?"));
  const auto how = GENERATE(Refusal::reset, Refusal::prohibited, Refusal::drop);
  world.request()->refuse(how);
  world.rest();
  CHECK(world.stack->flows() == 0);
  if (how == Refusal::drop) {
    CHECK(world.others.empty());
    return;
  }
  REQUIRE(world.others.size() == 1);
  const auto& error = world.others[0];
  CHECK(int{error.type} == (v6 ? 1 : 3));
  if (how == Refusal::reset) {
    CHECK(int{error.code} == (v6 ? 4 : 3));
    CHECK(error.from == world.target(53).address);
  }
  const auto quoted = Bytes(error.payload);
  CHECK(std::to_integer<int>(quoted[v6 ? 40 : 20]) == 5000 >> 8);
  CHECK(world.bad_sums == 0);
}

TEST_CASE("what was refused, dropped or let go counts no longer among what is held") {
  StackOptions options;
  options.max_pending_syns = 16;
  StackWorld world({}, options);
  for (std::uint16_t round = 0; round < 100; ++round) {
    send_udp(world, octets("x"), static_cast<std::uint16_t>(1000 + round));
    auto request = world.request();
    if (round % 3 == 0) request->refuse(Refusal::reset);
    if (round % 3 == 1) request->refuse(Refusal::drop);
    request.reset();
    world.rest();
    CHECK(world.stack->flows() == 0);
  }
}

TEST_CASE("a far end that refuses datagrams is a port unreachable at the guest") {
  const auto path = GENERATE(Path::fast, Path::generic);
  StackWorld world({path, false, true});
  auto far = begin(world);
  auto& end = *far;
  REQUIRE(world.until([&] { return end.read_datagrams(), end.datagrams.size() == 1; }));
  end.close();
  send_udp(world, octets("gone?"));
  REQUIRE(world.until([&] { return !world.others.empty(); }));
  CHECK(int{world.others[0].type} == 3);
  CHECK(int{world.others[0].code} == 3);
  CHECK(world.stack->flows() == 1);
}

TEST_CASE("a flow that is idle ends, one that is used does not") {
  const auto path = GENERATE(Path::fast, Path::generic);
  StackOptions options;
  options.udp_idle = 1500ms;
  StackWorld world({path, false, true}, options);
  send_udp(world, octets("idle"), 6000);
  auto idle = world.carry(world.request());
  auto used = begin(world);
  const auto began = Clock::now();
  REQUIRE(world.until([&] {
    used->send(octets("still here"));
    return world.stack->flows() == 1;
  }));
  CHECK(Clock::now() - began >= 1400ms);
  REQUIRE(world.until([&] { return world.ends.size() == 1; }));
  CHECK(world.ends[0] == FlowEnd::idle);
}

TEST_CASE("past the limit the least recently used flow ends, however fast new ones come") {
  StackOptions options;
  options.max_datagram_flows = 100;
  StackWorld world({}, options);
  std::vector<std::unique_ptr<Connection>> accepted;
  for (std::uint16_t port = 1; port <= 2000; ++port) send_udp(world, octets("x"), port);
  world.rest();
  CHECK(world.stack->flows() <= 100);
  for (auto& request : world.requests) accepted.push_back(request->accept());
  world.requests.clear();
  CHECK(std::count_if(accepted.begin(), accepted.end(), [](const auto& c) { return c != nullptr; }) <= 100);
  for (std::uint16_t port = 3001; port <= 5000; ++port) send_udp(world, octets("x"), port);
  world.rest();
  CHECK(world.stack->flows() <= 100);
}

TEST_CASE("a datagram whose header lies about its length is nobody's") {
  StackWorld world({});
  auto packet = udp_packet(world.guest(5000), world.target(53), octets("hello"));
  packet[24] = std::byte{0xff};
  world.device.send({packet});
  packet[24] = std::byte{0};
  packet[25] = std::byte{7};
  world.device.send({packet});
  world.rest();
  for (auto& request : world.requests) (void)request->accept();
  world.rest();
  CHECK(world.others.empty());
}
