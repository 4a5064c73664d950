#include "host/relay.h"

#include <sys/socket.h>

#include <catch2/catch.hpp>

#include "host/socket_connection.h"
#include "tests/support/dialers_loop.h"

// Two datagram sockets, relayed.
//
//   client ◄──► near ═ relay ═ far ◄──► server

using namespace nsrun;
using namespace nsrun::test;

namespace {

constexpr auto most_idle = 200ms;

std::pair<UniqueFd, UniqueFd> datagram_pair() {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

struct EndSeen final : Events {
  void flow_ended(const FlowRecord& record) override {
    end = record.end;
    packets_up = record.packets_up;
  }
  FlowEnd end = FlowEnd::open;
  std::uint64_t packets_up = 0;
};

std::unique_ptr<Connection> datagrams(Loop& loop, UniqueFd socket) {
  return std::make_unique<SocketConnection>(loop.executor(), std::move(socket), Transport::datagram);
}

// A datagram now and then, by which the flow lives.
Task<> keep_alive(int client, int count) {
  for (int i = 0; i < count; ++i) {
    co_await sleep_for(most_idle / 2);
    (void)!::send(client, "x", 1, 0);
  }
}

}  // namespace

TEST_CASE("datagrams between two sockets end when none has come for a while, and not before") {
  const int count = GENERATE(0, 6);
  Loop loop;
  LiveFlows flows;
  EndSeen events;
  auto client = datagram_pair(), server = datagram_pair();
  const FlowKey key{Protocol::udp, {}, {}};
  auto record = std::make_unique<FlowRecord>(1, key, events, flows, Asker::forwarded);
  const auto began = Clock::now();
  loop.beside.spawn(keep_alive(client.first.get(), count));
  loop.run(relay(datagrams(loop, std::move(client.second)), datagrams(loop, std::move(server.second)),
                 std::move(record), most_idle));
  CHECK(events.end == FlowEnd::idle);
  CHECK(events.packets_up == static_cast<std::uint64_t>(count));
  CHECK(Clock::now() - began >= most_idle + count * most_idle / 2);
}
