// A guest that controls every byte: nothing it sends may end the process, take memory without bound, or reach
// a flow that is not its own.

#include <algorithm>
#include <stdexcept>
#include "tests/support/catch.h"

#include "tests/support/stack_world.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

// A guest whose window is closed and whose far end reads nothing.
std::pair<GuestTcp&, std::unique_ptr<Connection>> unread(StackWorld& world, std::uint32_t window,
                                                         std::optional<std::uint8_t> scale) {
  auto& guest = world.tcp();
  guest.window = window;
  guest.scale = scale;
  guest.syn();
  auto near = world.request()->accept();
  world.rest();
  return {guest, std::move(near)};
}

// One read of a Connection that must give something at once.
std::size_t read_hostile(StackWorld& world, Connection& near, Octets& into) {
  std::size_t size = 0;
  bool ended = false;
  const auto read = [](Connection& from, Octets& room, std::size_t& got, bool& done) -> Task<> {
    const auto chunk = co_await from.read(room);
    got = chunk ? chunk->size : 0;
    done = true;
  };
  into.resize(65'536);
  world.scope.spawn(read(near, into, size, ended));
  if (!world.until([&] { return ended; }, 5s)) throw std::runtime_error("nothing could be read");
  into.resize(size);
  return size;
}

Octets read_all(StackWorld& world, Connection& near, std::size_t size) {
  Octets all, piece;
  while (all.size() < size) {
    if (read_hostile(world, near, piece) == 0) break;
    all.insert(all.end(), piece.begin(), piece.end());
  }
  return all;
}

Task<> write_octets(Connection& to, Octets bytes) { (void)co_await to.write(bytes); }

}  // namespace

TEST_CASE("segments may come out of order, twice, and overlapping") {
  const auto setting = GENERATE(from_range(every_setting()));
  INFO(setting);
  StackWorld world(setting);
  auto [guest_end, far] = world.connected();
  auto& guest = guest_end;
  auto& end = *far;
  const auto bytes = pattern(6000);
  const auto piece = [&](std::uint32_t from, std::uint32_t to) {
    guest.segment(from, Bytes(bytes).subspan(from, to - from));
  };
  piece(1000, 2000);
  piece(3000, 6000);
  piece(1500, 3500);
  piece(1000, 2000);
  piece(0, 500);
  piece(0, 1200);
  piece(0, 6000);
  REQUIRE(world.until([&] { return end.read(), end.received.size() >= bytes.size(); }));
  world.rest();
  end.read();
  CHECK(end.received == bytes);
  CHECK(world.until([&] { return guest.acknowledged_bytes() == bytes.size(); }));
}

TEST_CASE("a segment out of order that reaches beyond the window is cut to it") {
  const bool v6 = GENERATE(false, true);
  StackWorld world({Path::generic, v6, true});
  auto [guest_end, near] = unread(world, 65'535, std::nullopt);
  auto& guest = guest_end;
  const auto bytes = pattern(70'000);
  SECTION("as the first in the queue") { guest.segment(65'000, Bytes(bytes).subspan(65'000, 2000)); }
  SECTION("in place of others") {
    guest.segment(60'100, Bytes(bytes).subspan(60'100, 10));
    guest.segment(60'050, Bytes(bytes).subspan(60'050, 9000));
  }
  SECTION("and with a FIN") {
    guest.segment(64'000, Bytes(bytes).subspan(64'000, 3000), flag::fin | flag::ack);
  }
  for (std::uint32_t at = 0; at < 65'000; at += 1000) guest.segment(at, Bytes(bytes).subspan(at, 1000));
  world.rest();
  const auto got = read_all(world, *near, 65'535);
  CHECK(got.size() == 65'535);
  CHECK(std::equal(got.begin(), got.end(), bytes.begin()));
}

TEST_CASE("what the guest sends behind its FIN is not data") {
  StackWorld world({});
  auto [guest_end, far] = world.connected();
  auto& guest = guest_end;
  auto& end = *far;
  guest.segment(100, pattern(10), flag::fin | flag::ack);
  guest.segment(50, pattern(5000, 2));
  guest.segment(0, pattern(50, 3));
  guest.segment(0, pattern(5000, 4));
  guest.segment(200, pattern(50), flag::fin | flag::ack);
  REQUIRE(world.until([&] { return end.read(), end.ended; }));
  CHECK(end.received.size() == 110);
}

TEST_CASE("an MSS option after the handshake changes nothing") {
  const bool offloads = GENERATE(false, true);
  StackWorld world({Path::generic, false, offloads});
  auto [guest_end, near] = unread(world, 0, std::nullopt);
  auto& guest = guest_end;
  world.scope.spawn(write_octets(*near, pattern(900)));
  world.rest();
  guest.segment(0, {}, flag::ack, tcp_options(1, std::nullopt));
  world.rest();
  world.scope.spawn(write_octets(*near, pattern(900, 2)));
  world.rest();
  guest.window = 65'535;
  guest.acknowledge();
  CHECK(world.until([&] { return guest.received.size() == 1800; }));
}

TEST_CASE("a guest that begins with a closed window may open a small one") {
  const bool offloads = GENERATE(false, true);
  StackWorld world({Path::generic, false, offloads});
  auto [guest_end, near] = unread(world, 0, 7);
  auto& guest = guest_end;
  world.scope.spawn(write_octets(*near, pattern(33'793)));
  world.rest();
  guest.window = 512;
  guest.acknowledge();
  world.rest();
  world.scope.spawn(write_octets(*near, pattern(900, 2)));
  world.rest();
  guest.window = 65'535u << 7;
  guest.acknowledge();
  CHECK(world.until([&] { return guest.received.size() == 33'793 + 900; }));
}

TEST_CASE("a second SYN negotiates nothing") {
  StackOptions options;
  options.window = 20'000;
  StackWorld world({Path::generic, false, true}, options);
  auto& guest = world.tcp();
  guest.acknowledges = false;
  guest.scale.reset();
  guest.syn();
  auto near = world.request()->accept();
  world.rest();
  guest.scale = 7;
  guest.syn();
  world.rest();
  guest.scale.reset();
  guest.acknowledge();
  guest.send(octets("hello"));
  world.rest();
  CHECK(text(read_all(world, *near, 5)) == "hello");
  CHECK(guest.offered <= options.window);
}

TEST_CASE("a segment without ACK carries no data") {
  StackWorld world({});
  auto [guest_end, far] = world.connected();
  auto& end = *far;
  guest_end.segment(0, octets("stray"), flag::psh);
  guest_end.segment(0, {}, flag::fin);
  guest_end.send(octets("hello"));
  REQUIRE(world.until([&] { return end.read(), end.received.size() >= 5; }));
  CHECK(text(end.received) == "hello");
  CHECK(!end.ended);
}

TEST_CASE("a probe of one byte may be acknowledged although the window stays closed") {
  const auto path = GENERATE(Path::fast, Path::generic);
  StackWorld world({path, false, true});
  auto& guest = world.tcp();
  guest.window = 0;
  guest.syn();
  auto far = world.carry(world.request());
  world.rest();
  far->send(octets("x"));
  REQUIRE(world.until([&] { return text(guest.received) == "x"; }));  // the persist timer's probe
  world.run_for(500ms);                                               // its next ticks find nothing to send
  guest.window = 65'535;
  guest.acknowledge();
  far->send(octets("y"));
  CHECK(world.until([&] { return text(guest.received) == "xy"; }));
}

TEST_CASE("a window that opens again lets the rest come") {
  const auto setting = GENERATE(from_range(every_setting()));
  INFO(setting);
  StackWorld world(setting);
  auto& guest = world.tcp();
  guest.window = 3000;
  guest.syn();
  auto far = world.carry(world.request());
  REQUIRE(world.until([&] { return guest.connected; }));
  guest.window = 0;
  guest.acknowledge();
  const auto bytes = pattern(20'000);
  far->send(bytes);
  world.rest();
  const auto before = guest.received.size();
  CHECK(before <= 3000);
  guest.window = 65'535;
  guest.acknowledge();
  REQUIRE(world.until([&] { return guest.received.size() == bytes.size(); }));
  CHECK(guest.received == bytes);
}

TEST_CASE("a guest that does not read stops the far end, and memory stays bounded") {
  const auto path = GENERATE(Path::fast, Path::generic);
  StackWorld world({path, false, true});
  world.far_buffer = 65'536;
  auto& guest = world.tcp();
  guest.window = 0;
  guest.syn();
  auto far = world.carry(world.request());
  REQUIRE(world.until([&] { return guest.connected; }));
  const auto bytes = pattern(100'000);
  std::size_t sent = 0;
  for (int round = 0; round < 200; ++round) {
    sent += far->send(bytes);
    world.rest();
  }
  CHECK(sent < 6u << 20);
  CHECK(far->send(bytes) == 0);
}

TEST_CASE("a far end that does not read closes the guest's window, and opens it when it reads") {
  const auto setting = GENERATE(from_range(every_setting()));
  const bool scales = GENERATE(false, true);
  INFO(setting << (scales ? ", scaled window" : ", plain window"));
  StackWorld world(setting);
  world.far_buffer = 8192;
  auto& guest = world.tcp();
  if (!scales) guest.scale.reset();
  guest.syn();
  auto far = world.carry(world.request());
  auto& end = *far;
  REQUIRE(world.until([&] { return guest.connected; }));
  world.rest();
  const auto bytes = pattern(8u << 20);
  std::uint32_t sent = 0;
  const auto fill = [&] {
    // As a sender does: not beyond the window that was announced last.
    while (sent < bytes.size() && sent < guest.acknowledged_bytes() + guest.offered) {
      const auto size = std::min<std::uint32_t>(1400, guest.acknowledged_bytes() + guest.offered - sent);
      guest.send(Bytes(bytes).subspan(sent, std::min<std::size_t>(size, bytes.size() - sent)));
      sent += size;
    }
  };
  world.until([&] { return fill(), guest.offered == 0; }, 2s);
  CHECK(guest.offered == 0);
  CHECK(sent <= 5u << 20);
  const auto began = Clock::now();
  REQUIRE(world.until([&] { return end.read(), fill(), end.received.size() >= 2 * sent / 3; }));
  CHECK(world.until([&] { return end.read(), guest.offered > 0; }, 1s));
  CHECK(Clock::now() - began < 5s);
  CHECK(std::equal(end.received.begin(), end.received.end(), bytes.begin()));
}

TEST_CASE("100,000 segments of one byte cost what 100,000 bytes cost") {
  StackWorld world({});
  auto [guest_end, near] = unread(world, 65'535, 7);
  auto& guest = guest_end;
  const auto bytes = pattern(100'000);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    guest.send(Bytes(bytes).subspan(i, 1));
    if (i % 512 == 0) world.rest();
  }
  world.rest();
  CHECK(read_all(world, *near, bytes.size()) == bytes);
}

TEST_CASE("odd segments in every state end at most their own flow") {
  const bool v6 = GENERATE(false, true);
  StackWorld world({Path::fast, v6, true});
  std::uint16_t port = 1000;
  for (int flags = 0; flags < 256; ++flags) {
    for (const std::size_t size : {0, 1, 3000}) {
      auto& guest = world.tcp(++port);
      guest.acknowledges = flags & 1;
      guest.syn();
      auto far = world.carry(world.request());
      guest.segment(0, pattern(size), static_cast<std::uint8_t>(flags),
                    octets({"\x03\x03\x0e\x02\x04\x00\x01\x01", 8}));
      guest.segment(70'000, pattern(size), static_cast<std::uint8_t>(flags));
      guest.segment(0xffff'0000, pattern(size), static_cast<std::uint8_t>(flags));
      far->send(pattern(2000));
      world.rest();
      far->finish();
      guest.segment(1, pattern(size), static_cast<std::uint8_t>(flags), octets({"\xff\x00\x02\x01", 4}));
      world.rest();
    }
  }
  auto [guest_end, far] = world.connected(60'000);
  guest_end.send(octets("alive"));
  auto& end = *far;
  CHECK(world.until([&] { return end.read(), text(end.received) == "alive"; }));
}
