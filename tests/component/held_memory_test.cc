// What a flow that says little makes the host process hold: nothing that it only might need.

#include <algorithm>

#include "host/flow/relay.h"
#include "host/names/dns_framing.h"
#include "runtime/datagram_source.h"
#include "tests/support/catch.h"
#include "tests/support/dialers_loop.h"
#include "tests/support/stack_world.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

// A connection of datagrams on which nothing ever comes.
class Silent final : public Connection, public DatagramSource {
 public:
  Silent(Executor executor, bool& was_read) : nothing_(executor), was_read_(was_read) {}
  Transport transport() const override { return Transport::datagram; }
  Task<> datagram_ready() override { co_await nothing_.wait(); }
  Task<Result<Chunk>> read(MutableBytes) override {
    was_read_ = true;
    co_await nothing_.wait();
    co_return Chunk{0, true};
  }
  Task<Result<void>> write(Bytes) override { co_return Result<void>{}; }
  void finish() override {}
  void reset() override {}

 private:
  Signal nothing_;
  bool& was_read_;
};

// A stream of these bytes, and then the end; it notes the most room that it was given.
class Stream final : public Connection {
 public:
  explicit Stream(Octets bytes) : bytes_(std::move(bytes)) {}
  Task<Result<Chunk>> read(MutableBytes into) override {
    max_room = std::max(max_room, into.size());
    const std::size_t size = std::min(into.size(), bytes_.size() - at_);
    std::copy_n(bytes_.begin() + static_cast<long>(at_), size, into.begin());
    at_ += size;
    co_return Chunk{size, size == 0};
  }
  Task<Result<void>> write(Bytes) override { co_return Result<void>{}; }
  void finish() override {}
  void reset() override {}

  std::size_t max_room = 0;  // bytes

 private:
  const Octets bytes_;
  std::size_t at_ = 0;
};

Task<> relay_for_a_moment(Loop& loop, bool& was_read) {
  Events events;
  LiveFlows flows;
  const FlowKey key{Protocol::udp, {}, {}};
  auto record = std::make_unique<FlowRecord>(1, key, events, flows);
  co_await within(1ms, [](Loop& on, bool& read, std::unique_ptr<FlowRecord> of) -> Task<bool> {
    co_await relay(std::make_unique<Silent>(on.executor(), read),
                   std::make_unique<Silent>(on.executor(), read), std::move(of));
    co_return true;
  }(loop, was_read, std::move(record)));
}

Task<> read_message(Stream& stream, std::size_t& size) {
  const auto message = co_await read_dns_message(stream, 0);
  size = message && *message ? (*message)->size() : 0;
}

}  // namespace

TEST_CASE("a relayed datagram flow has no room for a datagram before one comes") {
  Loop loop;
  bool was_read = false;
  loop.run(relay_for_a_moment(loop, was_read));
  CHECK_FALSE(was_read);
}

TEST_CASE("a DNS message over TCP takes room as it comes, not as it claims") {
  Loop loop;
  std::size_t size = 0;
  Octets claims = octets("\xff\xff");
  claims.resize(12);
  Stream short_of_it(claims);
  loop.run(read_message(short_of_it, size));
  CHECK(size == 0);
  CHECK(short_of_it.max_room <= 512);

  claims.resize(2 + 0xffff);
  Stream whole(claims);
  loop.run(read_message(whole, size));
  CHECK(size == 0xffff);
}

TEST_CASE("what waited in refused datagram flows is forgotten with them") {
  StackOptions options;
  options.ample_bytes = 20'000;
  StackWorld world({}, options);
  for (std::uint16_t port = 1; port <= 100; ++port) {
    world.device.send({udp_packet(world.guest(port), world.target(9), pattern(1000))});
    world.request()->refuse(Refusal::drop);
  }
  world.device.send({udp_packet(world.guest(200), world.target(9), pattern(1000))});
  const auto far = world.carry(world.request());
  CHECK(world.until([&] { return far->read_datagrams(), far->datagrams.size() == 1; }));
}
