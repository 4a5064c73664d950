#include "host/flow/relay.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>
#include <cstring>

#include "tests/support/catch.h"

#include "host/dialers/unix_dialer.h"
#include "host/flow/socket_connection.h"
#include "tests/support/dialers_loop.h"

// Two datagram sockets, relayed.
//
//   client ◄──► near ═ relay ═ far ◄──► server

using namespace nsrun;
using namespace nsrun::test;

namespace {

constexpr auto max_idle = 200ms;

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

// A datagram server at a path, which may be started again.
class UnixServer {
 public:
  explicit UnixServer(Loop& loop) : loop_(loop) {
    REQUIRE(::mkdtemp(directory_));
    path = std::string(directory_) + "/server";
    start();
  }
  ~UnixServer() {
    stop();
    ::rmdir(directory_);
  }
  void start() {
    stop();
    socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    std::strcpy(address.sun_path, path.c_str());
    REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  void stop() {
    socket_.reset();
    ::unlink(path.c_str());
  }
  Task<std::string> next() {
    Descriptor arrivals(loop_.executor(), ::fcntl(socket_.get(), F_DUPFD_CLOEXEC, 0));
    (void)co_await readable(arrivals);
    std::string room(64, 0);
    const auto got = ::recv(socket_.get(), room.data(), room.size(), 0);
    co_return got < 0 ? "nothing" : room.substr(0, static_cast<std::size_t>(got));
  }

  std::string path;

 private:
  Loop& loop_;
  char directory_[32] = "/tmp/nsrun-datagrams-XXXXXX";
  UniqueFd socket_;
};

// Until the other end has read all that was sent, and has passed it on or failed to.
Task<> until_taken(int socket) {
  for (int unread = 1; unread > 0;) {
    co_await give_way();
    REQUIRE(::ioctl(socket, SIOCOUTQ, &unread) == 0);
  }
  co_await give_way();
}

void say_datagram(int socket, std::string_view word) { (void)!::send(socket, word.data(), word.size(), 0); }

Task<> outlive_servers(Loop& loop, UnixServer& server, int client, std::unique_ptr<Connection> near,
                       std::unique_ptr<FlowRecord> record) {
  UnixDialer dialer(loop.executor(), server.path, Transport::datagram);
  const Target target{Protocol::udp, {}, "unix"};
  auto far = co_await dialer.dial(target);
  const bool dialled = far.has_value();
  REQUIRE(dialled);
  loop.beside.spawn(relay(std::move(near), std::move(*far), std::move(record)));
  say_datagram(client, "one");
  const auto first = co_await server.next();
  CHECK(first == "one");
  server.start();
  say_datagram(client, "two");
  const auto second = co_await server.next();
  CHECK(second == "two");
  server.stop();
  say_datagram(client, "lost");
  co_await until_taken(client);
  server.start();
  say_datagram(client, "three");
  const auto last = co_await server.next();
  CHECK(last == "three");
}

// A datagram now and then, by which the flow lives.
Task<> keep_alive(int client, int count) {
  for (int i = 0; i < count; ++i) {
    co_await sleep_for(max_idle / 2);
    (void)!::send(client, "x", 1, 0);
  }
}

}  // namespace

TEST_CASE("a datagram flow to a unix socket goes on when the server is started again") {
  Loop loop;
  LiveFlows flows;
  EndSeen events;
  UnixServer server(loop);
  auto client = datagram_pair();
  loop.run(outlive_servers(
      loop, server, client.first.get(), datagrams(loop, std::move(client.second)),
      std::make_unique<FlowRecord>(1, FlowKey{Protocol::udp, {}, {}}, events, flows, Asker::forwarded)));
  CHECK(events.packets_up >= 3);
}

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
                 std::move(record), max_idle));
  CHECK(events.end == FlowEnd::idle);
  CHECK(events.packets_up == static_cast<std::uint64_t>(count));
  CHECK(Clock::now() - began >= max_idle + count * max_idle / 2);
}
