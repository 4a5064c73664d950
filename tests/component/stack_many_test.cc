// Many flows, and several stacks in one process.

#include <algorithm>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include "tests/support/catch.h"

#include "netstack/buffers.h"
#include "tests/support/stack_world.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

// Sanitizers keep what was freed, and look for leaks themselves.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool freed_memory_is_kept = true;
#else
constexpr bool freed_memory_is_kept = false;
#endif

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * 4096;
}

// Opens, uses and closes one flow; generic ends in memory would do, but none is needed: nobody reads.
void open_and_close(StackWorld& world, std::uint16_t port) {
  auto& guest = world.tcp(port);
  guest.syn();
  auto near = world.request()->accept();
  world.until([&] { return guest.connected; });
  near.reset();
  world.until([&] { return guest.got_fin; });
  guest.finish();
  world.rest();
  world.forget_guest(guest);
}

// Everything a stack does, with losses, on a thread of its own. What went wrong; empty: nothing.
std::string exercise(std::uint16_t flows, std::uint32_t seed) {
  StackWorld world({Path::fast, (seed & 1) != 0, true});
  std::minstd_rand random(seed);
  world.device.loses = [&](const Passing& packet) { return packet.bytes.size() > 100 && random() % 50 == 0; };
  struct Flow {
    GuestTcp& guest;
    std::unique_ptr<Far> far;
    Octets up, down;
  };
  std::vector<Flow> all;
  for (std::uint16_t i = 0; i < flows; ++i) {
    auto [guest, far] = world.connected(static_cast<std::uint16_t>(10'000 + i));
    all.push_back({guest, std::move(far), pattern(3000, seed + i), pattern(5000, seed * 7 + i)});
    all.back().guest.send_all(all.back().up);
    all.back().far->send(all.back().down);
  }
  const bool whole = world.until(
      [&] {
        return std::all_of(all.begin(), all.end(), [](Flow& flow) {
          flow.far->read();
          return flow.far->received.size() == flow.up.size() &&
                 flow.guest.received.size() == flow.down.size();
        });
      },
      60s);
  if (!whole) return "not everything arrived";
  for (const auto& flow : all)
    if (flow.far->received != flow.up || flow.guest.received != flow.down) return "flows were mixed up";
  return world.bad_sums == 0 ? "" : "a checksum was wrong";
}

}  // namespace

TEST_CASE("10,000 flows that come and go leave nothing behind") {
  StackWorld world({});
  std::uint16_t port = 1024;
  for (int i = 0; i < 1000; ++i) open_and_close(world, ++port);
  const auto before = resident_bytes();
  for (int i = 0; i < 9000; ++i) open_and_close(world, ++port);
  CHECK(world.until([&] { return world.stack->flows() == 0; }));
  if (!freed_memory_is_kept) CHECK(resident_bytes() < before + (4u << 20));
}

TEST_CASE("more flows with bytes in flight than there are buffers: all of them arrive") {
  StackWorld world({});
  std::vector<GuestTcp*> guests;
  std::vector<std::unique_ptr<Connection>> nears;
  const auto write = [](Connection& to, Octets bytes) -> Task<> { (void)co_await to.write(bytes); };
  for (std::size_t i = 0; i < StackOptions{}.max_buffers + 500; ++i) {
    auto& guest = world.tcp(static_cast<std::uint16_t>(1024 + i));
    guest.syn();
    nears.push_back(world.request()->accept());
    world.rest();
    guest.acknowledges = false;
    guests.push_back(&guest);
  }
  for (auto& near : nears) world.scope.spawn(write(*near, octets("x")));
  world.rest();
  std::size_t arrived = 0;
  for (auto* guest : guests) arrived += guest->received.size();
  CHECK(arrived >= StackOptions{}.max_buffers - 10);
  for (auto* guest : guests) {
    guest->acknowledges = true;
    guest->acknowledge(static_cast<std::uint32_t>(guest->received.size()));
  }
  CHECK(world.until([&] {
    return std::all_of(guests.begin(), guests.end(), [](auto* guest) { return guest->received.size() == 1; });
  }));
}

TEST_CASE("buffers that nobody uses for a while go back, those in use stay warm") {
  MemoryBudget budget;
  MemoryShare memory(budget);
  BufferPool pool(100, memory);
  const auto use = [&](std::size_t count) {
    std::vector<BufferPtr> held;
    for (std::size_t i = 0; i < count; ++i) held.push_back(pool.get());
  };
  use(10);
  CHECK(pool.trim() == 0);  // they were used since the last time
  use(4);
  CHECK(pool.trim() == 6);
  CHECK(pool.trim() == 4);
  CHECK(!pool.has_free());
  CHECK(pool.live() == 0);
}

TEST_CASE("stacks on threads of their own do not see each other") {
  std::string first, second;
  std::thread other([&] { second = exercise(200, 2); });
  first = exercise(200, 1);
  other.join();
  CHECK(first == "");
  CHECK(second == "");
}

TEST_CASE("the stack connects to a guest that listens") {
  const auto setting = GENERATE(from_range(every_setting()));
  INFO(setting);
  StackWorld world(setting);
  const Endpoint asker{setting.v6 ? *IpAddress::parse("2001:db8::9") : IpAddress::v4(198, 51, 100, 9), 4711};
  std::unique_ptr<Connection> near;
  std::string failure;
  bool done = false;
  const auto connect = [](Stack& stack, Endpoint from, Endpoint to, std::unique_ptr<Connection>& into,
                          std::string& why, bool& ended) -> Task<> {
    auto result = co_await stack.connect(Protocol::tcp, from, to);
    if (result)
      into = std::move(*result);
    else
      why = result.error().code.message();
    ended = true;
  };
  world.scope.spawn(connect(*world.stack, asker, world.guest(8080), near, failure, done));
  REQUIRE(world.until([&] { return !world.others.empty(); }));
  const auto syn = world.others.front();
  CHECK(syn.tcp.flags == flag::syn);
  CHECK(syn.from == asker.address);
  CHECK(syn.from_port == asker.port);
  auto& guest = world.answering(syn);

  SECTION("and accepts") {
    guest.accept_connection(syn);
    REQUIRE(world.until([&] { return done; }));
    REQUIRE(near);
    auto far = world.carry(std::move(near), {Protocol::tcp, asker, world.guest(8080)}, true);
    auto& end = *far;
    end.send(octets("GET"));
    REQUIRE(world.until([&] { return text(guest.received) == "GET"; }));
    guest.send(octets("200"));
    REQUIRE(world.until([&] { return end.read(), text(end.received) == "200"; }));
    guest.finish();
    end.finish();
    REQUIRE(world.until([&] { return end.read(), end.ended && guest.got_fin; }));
    CHECK(world.until([&] { return world.stack->flows() == 0; }));
  }
  SECTION("and refuses") {
    const bool late = GENERATE(false, true);
    if (late) world.run_for(1100ms);  // our SYN is sent again meanwhile
    guest.refuse(syn);
    REQUIRE(world.until([&] { return done; }));
    CHECK(!near);
    CHECK(failure == "Connection refused");
    CHECK(world.until([&] { return world.stack->flows() == 0; }));
  }
}

TEST_CASE("a guest may send no more ahead on a connection that we open than on one of its own") {
  StackOptions options;
  options.window = 100'000;
  StackWorld world({}, options);
  std::unique_ptr<Connection> near;
  const auto connect = [](Stack& stack, Endpoint from, Endpoint to,
                          std::unique_ptr<Connection>& into) -> Task<> {
    auto result = co_await stack.connect(Protocol::tcp, from, to);
    if (result) into = std::move(*result);
  };
  world.scope.spawn(connect(*world.stack, {IpAddress::v4(198, 51, 100, 9), 4711}, world.guest(8080), near));
  REQUIRE(world.until([&] { return !world.others.empty(); }));
  const auto syn = world.others.front();
  auto& guest = world.answering(syn);
  guest.accept_connection(syn);
  REQUIRE(world.until([&] { return near && guest.offered > 0; }));
  CHECK(guest.offered <= options.window);
}

TEST_CASE("the stack ends when its device is gone") {
  StackWorld world({});
  auto [guest, far] = world.connected();
  world.device.close();
  CHECK(world.until([&] { return world.scope.size() == 0; }));
}
