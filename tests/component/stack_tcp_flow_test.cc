// What a guest's TCP connection carries, and how it ends: the same on the fast path and the generic one, over
// IPv4 and IPv6, with and without offloads.

#include <algorithm>
#include "tests/support/catch.h"
#include "tests/support/stack_world.h"

using namespace nsrun;
using namespace nsrun::test;

TEST_CASE("bytes arrive whole and in order, both ways at once") {
  const auto setting = GENERATE(from_range(every_setting()));
  INFO(setting);
  StackWorld world(setting);
  auto [guest, far] = world.connected();
  auto& far_end = *far;
  const auto up = pattern(400'000, 1), down = pattern(1'000'000, 2);
  std::size_t up_sent = 0, down_sent = 0;
  REQUIRE(world.until([&, &end = guest] {
    for (; up_sent < up.size() && end.sent_bytes() < end.acknowledged_bytes() + 50'000; up_sent += 1000)
      end.send(Bytes(up).subspan(up_sent, 1000));
    down_sent += far_end.send(Bytes(down).subspan(down_sent));
    far_end.read();
    return far_end.received.size() == up.size() && end.received.size() == down.size();
  }));
  CHECK(far->received == up);
  CHECK(guest.received == down);
  CHECK(world.bad_sums == 0);
}

TEST_CASE("either direction may end while the other goes on") {
  const auto setting = GENERATE(from_range(every_setting()));
  INFO(setting);
  StackWorld world(setting);
  auto [guest_end, far] = world.connected();
  auto& guest = guest_end;
  auto& end = *far;

  SECTION("the guest's first") {
    guest.finish(octets("request"));
    REQUIRE(world.until([&] { return end.read(), end.ended; }));
    CHECK(text(end.received) == "request");
    CHECK(!guest.got_fin);
    end.send(octets("answer"));
    REQUIRE(world.until([&] { return text(guest.received) == "answer"; }));
    end.finish();
  }
  SECTION("the far end's first") {
    end.send(octets("greeting"));
    end.finish();
    REQUIRE(world.until([&] { return guest.got_fin; }));
    CHECK(text(guest.received) == "greeting");
    guest.send(octets("late words"));
    REQUIRE(world.until([&] { return end.read(), text(end.received) == "late words"; }));
    guest.finish();
  }
  REQUIRE(world.until([&] { return end.read(), end.ended && guest.got_fin && world.ends.size() == 1; }));
  CHECK(world.ends[0] == FlowEnd::closed);
  CHECK(!guest.got_reset);
  CHECK(world.until([&] { return world.stack->flows() == 0; }));
}

TEST_CASE("both ends may finish at the same time") {
  const auto setting = GENERATE(from_range(every_setting()));
  INFO(setting);
  StackWorld world(setting);
  auto [guest_end, far] = world.connected();
  auto& guest = guest_end;
  auto& end = *far;
  guest.acknowledges = false;  // their FINs cross
  end.finish();
  REQUIRE(world.until([&] { return guest.got_fin; }));
  guest.segment(0, {}, flag::fin | flag::ack);  // acknowledges what came, the FIN included
  REQUIRE(world.until([&] { return end.read(), end.ended && !world.ends.empty(); }));
  CHECK(world.ends[0] == FlowEnd::closed);
  CHECK(world.until([&] { return world.stack->flows() == 0; }));
}

TEST_CASE("a guest's reset is a reset at the far end") {
  const auto setting = GENERATE(from_range(every_setting()));
  INFO(setting);
  StackWorld world(setting);
  auto [guest_end, far] = world.connected();
  auto& guest = guest_end;
  auto& end = *far;
  guest.reset();
  REQUIRE(world.until([&] { return end.read(), end.broken || end.ended; }));
  CHECK(end.broken);
  REQUIRE(world.until([&] { return !world.ends.empty(); }));
  CHECK(world.ends[0] == FlowEnd::reset_by_source);
  CHECK(world.until([&] { return world.stack->flows() == 0; }));
}

TEST_CASE("a far reset is a reset at the guest") {
  const auto setting = GENERATE(from_range(every_setting()));
  INFO(setting);
  StackWorld world(setting);
  auto [guest_end, far] = world.connected();
  auto& guest = guest_end;
  far->reset();
  REQUIRE(world.until([&] { return guest.got_reset && !world.ends.empty(); }));
  CHECK(world.ends[0] == FlowEnd::reset_by_target);
  CHECK(world.until([&] { return world.stack->flows() == 0; }));
}

TEST_CASE("a far end that sends and resets at once has not ended its stream") {
  const auto setting = GENERATE(from_range(every_setting()));
  INFO(setting);
  StackWorld world(setting);
  auto [guest, far] = world.connected();
  far->send(pattern(1000));
  far->reset();
  REQUIRE(world.until([&] { return (guest.got_reset || guest.got_fin) && !world.ends.empty(); }));
  CHECK(guest.got_reset);
  CHECK(!guest.got_fin);
  CHECK(world.ends[0] == FlowEnd::reset_by_target);
}

TEST_CASE("a far end that sends and finishes at once: its last bytes and its end are one segment") {
  StackWorld world({Path::fast, GENERATE(false, true), true});
  auto [guest, far] = world.connected();
  const auto before = guest.seen.size();
  far->send(pattern(1000));
  far->finish();
  auto& end = guest;
  REQUIRE(world.until([&] { return end.got_fin; }));
  CHECK(guest.received == pattern(1000));
  CHECK(guest.seen.size() == before + 1);
}

TEST_CASE("a port may be used again as soon as its connection is over") {
  const auto setting = GENERATE(from_range(every_setting()));
  INFO(setting);
  StackWorld world(setting);
  for (int round = 0; round < 3; ++round) {
    auto [guest_end, far] = world.connected();
    auto& guest = guest_end;
    auto& end = *far;
    // The far end ends first, so that the stack is where TIME_WAIT would be.
    end.send(octets("bye"));
    end.finish();
    REQUIRE(world.until([&] { return guest.got_fin; }));
    guest.finish(octets("bye"));
    auto& again = world.tcp();
    again.syn();
    auto request = world.request();
    CHECK(!again.got_reset);
    REQUIRE(world.until([&] { return end.read(), end.ended; }));
    CHECK(text(end.received) == "bye");
    request.reset();
    world.rest();
  }
}

TEST_CASE("what the guest sent before it closed arrives although the far end is slow") {
  const auto path = GENERATE(Path::fast, Path::generic);
  StackWorld world({path, false, true});
  world.far_buffer = 8192;
  auto [guest_end, far] = world.connected();
  auto& guest = guest_end;
  auto& end = *far;
  guest.mss = 10'000;
  const auto bytes = pattern(600'000);
  guest.send_all(bytes);
  guest.finish();
  end.finish();
  REQUIRE(world.until([&] { return guest.got_fin && guest.acknowledged_bytes() > bytes.size(); }));
  REQUIRE(world.until([&] { return end.read(), end.ended || end.broken; }));
  CHECK(end.received == bytes);
  CHECK(end.ended);
  REQUIRE(world.until([&] { return !world.ends.empty(); }));
  CHECK(world.ends[0] == FlowEnd::closed);
}

TEST_CASE("a lone segment is acknowledged within 20 ms, several at the end of their batch") {
  const auto setting = GENERATE(from_range(every_setting()));
  INFO(setting);
  StackWorld world(setting);
  auto [guest_end, far] = world.connected();
  auto& guest = guest_end;
  // The quickest of a few: the machine may be busy with something else at any one time.
  auto quickest = Clock::duration::max();
  for (std::uint32_t i = 1; i <= 10; ++i) {
    const auto began = Clock::now();
    guest.send(octets("x"));
    REQUIRE(world.until([&] { return guest.acknowledged_bytes() == i; }, 1s));
    quickest = std::min(quickest, Clock::now() - began);
  }
  CHECK(quickest < 20ms);

  guest.seen.clear();
  for (int i = 0; i < 8; ++i) guest.send(pattern(guest.mss));
  REQUIRE(world.until([&] { return guest.acknowledged_bytes() == 10u + 8u * guest.mss; }, 1s));
  CHECK(guest.seen.size() == 1);
}

TEST_CASE("a packet that is lost on its way to the guest is sent again") {
  const auto setting = GENERATE(from_range(every_setting()));
  INFO(setting);
  StackWorld world(setting);
  auto [guest_end, far] = world.connected();
  auto& guest = guest_end;
  const auto began = Clock::now();
  int lost = 0;
  world.device.loses = [&](const Passing& packet) { return !see(packet).payload.empty() && lost++ == 0; };
  far->send(octets("hello"));
  REQUIRE(world.until([&] { return text(guest.received) == "hello"; }));
  CHECK(lost == 2);
  CHECK(Clock::now() - began < 2s);  // lwIP's own first timeout would be 3 s
}

TEST_CASE("a SYN+ACK that is lost is sent again when the guest asks again") {
  StackWorld world({});
  auto& guest = world.tcp();
  int lost = 0;
  world.device.loses = [&](const Passing&) { return lost++ == 0; };
  guest.syn();
  const auto near = world.request()->accept();
  world.rest();
  CHECK(!guest.connected);
  guest.syn();
  CHECK(world.until([&] { return guest.connected; }, 1s));
}

TEST_CASE("what the far end sends before the handshake is over follows it") {
  const auto setting = GENERATE(from_range(every_setting()));
  INFO(setting);
  StackWorld world(setting);
  auto& guest = world.tcp();
  guest.acknowledges = false;
  guest.syn();
  auto far = world.carry(world.request());
  far->send(octets("220 ready"));
  world.rest();
  CHECK(guest.connected);
  CHECK(guest.received.empty());
  guest.acknowledges = true;
  guest.acknowledge();
  REQUIRE(world.until([&] { return text(guest.received) == "220 ready"; }));
  CHECK(world.bad_sums == 0);
}

TEST_CASE("a small MSS is kept: by segmentation where the device offloads, by small packets where not") {
  const auto setting = GENERATE(from_range(every_setting()));
  INFO(setting);
  StackWorld world(setting);
  auto& guest = world.tcp();
  guest.mss = 536;
  guest.syn();
  auto far = world.carry(world.request());
  REQUIRE(world.until([&] { return guest.connected; }));
  const auto bytes = pattern(300'000);
  std::size_t sent = 0;
  REQUIRE(world.until([&] {
    sent += far->send(Bytes(bytes).subspan(sent));
    return guest.received.size() == bytes.size();
  }));
  CHECK(guest.received == bytes);
  std::size_t largest = 0;
  for (const auto& s : guest.seen) {
    largest = std::max(largest, s.payload.size());
    if (s.payload.size() <= 536) continue;
    CHECK(int{s.offload.segmentation} == (setting.v6 ? Offload::segment_tcp6 : Offload::segment_tcp4));
    CHECK(s.offload.segment_size == 536);
    CHECK(s.offload.header_length == (setting.v6 ? 60 : 40));
  }
  CHECK((setting.offloads ? largest > 536 : largest <= 536));
  CHECK(world.bad_sums == 0);
}

TEST_CASE("a stack that goes with flows alive takes all of them with it") {
  const auto setting = GENERATE(from_range(every_setting()));
  INFO(setting);
  StackWorld world(setting);
  std::vector<std::unique_ptr<Far>> fars;
  for (std::uint16_t port = 1; port <= 20; ++port) {
    auto [guest_end, far] = world.connected(static_cast<std::uint16_t>(40'000 + port));
    guest_end.acknowledges = false;
    far->send(pattern(100'000));
    guest_end.send(pattern(1000));
    fars.push_back(std::move(far));
  }
  world.tcp(50'000).syn();
  world.device.send({udp_packet(world.guest(1), world.target(2), octets("held"))});
  world.rest();
  CHECK(world.requests.size() == 2);
  CHECK(world.stack->flows() == 22);
  const auto near = world.requests.front()->accept();  // outlives the stack, as do its requests
  REQUIRE(near);
}

TEST_CASE("a connection that nobody wants any more is closed, or reset when bytes were left unread") {
  const bool unread = GENERATE(false, true);
  StackWorld world({});
  auto& guest = world.tcp();
  guest.syn();
  auto near = world.request()->accept();
  REQUIRE(world.until([&] { return guest.connected; }));
  if (unread) guest.send(octets("hello"));
  world.rest();
  near.reset();
  world.rest();
  CHECK(guest.got_reset == unread);
  CHECK(guest.got_fin != unread);
  if (!unread) guest.finish();
  CHECK(world.until([&] { return world.stack->flows() == 0; }));
}
