#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/flow/socket_connection.h"
#include "host/tunnel/upgrade.h"
#include "tests/support/catch.h"
#include "tests/support/tunnel_ends.h"

// When a tunnel's far side counts as alive, and when its session ends.
//
//   TunnelSession ◄─ WebSocket ─► a far side that the test plays: by hand, or by bytes on a TCP socket

using namespace nsrun;
using namespace nsrun::test;

namespace {

// A far side of which nothing is ever read. Its kernel does what the test says.
struct MuteWebSocket final : WebSocket {
  MuteWebSocket(Executor executor, Life& shown) : shown_(shown), aborted_(executor) {}
  Task<Result<Part>> read(MutableBytes) override {
    while (!is_aborted_) co_await aborted_.wait();
    co_return Error{"aborted", asio::error::operation_aborted};
  }
  Task<Result<void>> write(Bytes, bool) override { co_return Result<void>{}; }
  Life life() override { return shown_; }
  Task<Result<void>> ping() override { co_return Result<void>{}; }
  Task<> close(std::uint16_t, std::string) override { co_return; }
  void abort() override {
    is_aborted_ = true;
    aborted_.raise();
  }

 private:
  Life& shown_;
  Signal aborted_;
  bool is_aborted_ = false;
};

struct MuteTunnel {
  explicit MuteTunnel(Executor executor)
      : session(executor, std::make_unique<MuteWebSocket>(executor, life), true,
                {TunnelSession::Role::client, {}, 200ms}, end) {}
  Task<> run() { end.ended = co_await session.run(); }

  WebSocket::Life life;
  TunnelEnd end;
  TunnelSession session;
};

std::pair<UniqueFd, UniqueFd> loopback_pair() {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  SocketAddress address(Endpoint{IpAddress::v4(127, 0, 0, 1), 0});
  REQUIRE(::bind(listener.get(), address.get(), address.length) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  ::getsockname(listener.get(), address.get(), &address.length);
  UniqueFd one(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::connect(one.get(), address.get(), address.length) == 0);
  ::fcntl(one.get(), F_SETFL, O_NONBLOCK);
  UniqueFd other(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  return {std::move(one), std::move(other)};
}

// Both sides of a WebSocket over TCP, and the server's and the client's socket once more.
struct TcpTunnel {
  std::unique_ptr<WebSocket> server, client;
  UniqueFd server_socket, client_socket;

  Task<> open(Executor executor) {
    auto [near, far] = loopback_pair();
    server_socket.reset(::dup(near.get()));
    client_socket.reset(::dup(far.get()));
    const auto give = [](std::unique_ptr<Connection> client_of, std::unique_ptr<WebSocket>& into) -> Task<> {
      const UpgradeRules rules;
      auto given = co_await give_tunnel(std::move(client_of), rules);
      if (given) into = std::move(given->socket);
    };
    const auto ask = [](std::unique_ptr<Connection> server_of, std::unique_ptr<WebSocket>& into) -> Task<> {
      UpgradeRequest request;
      request.host = "tunnel";
      auto given = co_await ask_for_tunnel(std::move(server_of), std::move(request));
      if (given) into = std::move(given->socket);
    };
    co_await both(give(std::make_unique<SocketConnection>(executor, std::move(near)), server),
                  ask(std::make_unique<SocketConnection>(executor, std::move(far)), client));
    REQUIRE((server && client));
  }
};

Task<> read_once(WebSocket& socket, std::optional<Error>& failure) {
  std::vector<std::byte> buffer(1000);
  const auto part = co_await socket.read(buffer);
  if (!part) failure = part.error();
}

}  // namespace

TEST_CASE("a far side whose kernel takes what is sent is alive, though its words are stuck behind it") {
  Loop loop;
  MuteTunnel tunnel(loop.executor());
  loop.run([](MuteTunnel& mute, Scope& beside) -> Task<> {
    beside.spawn(mute.run());
    mute.life.unacknowledged = true;
    for (int i = 0; i < 60; ++i) {
      co_await sleep_for(10ms);
      mute.life.acknowledged += 100;
    }
    CHECK_FALSE(mute.end.ended.has_value());
    // It takes no more.
    while (!mute.end.ended) co_await give_way();
    CHECK(mute.end.ended->code.value() == ETIMEDOUT);
  }(tunnel, loop.beside));
}

TEST_CASE("a far side that has everything and says nothing is gone, though its kernel acknowledged that") {
  Loop loop;
  MuteTunnel tunnel(loop.executor());
  loop.run([](MuteTunnel& mute, Scope& beside) -> Task<> {
    beside.spawn(mute.run());
    while (!mute.end.ended) {
      mute.life.acknowledged += 1;
      co_await give_way();
    }
    CHECK(mute.end.ended->code.value() == ETIMEDOUT);
  }(tunnel, loop.beside));
}

TEST_CASE("control frames are signs of life, and asked for where a session is doubted") {
  Loop loop;
  MuteTunnel tunnel(loop.executor());
  loop.run([](MuteTunnel& mute, Scope& beside) -> Task<> {
    beside.spawn(mute.run());
    for (int i = 0; i < 60; ++i) {
      co_await sleep_for(10ms);
      mute.life.control_frames += 1;
    }
    CHECK_FALSE(mute.end.ended.has_value());
    const bool mute_one = co_await mute.session.is_alive(50ms);
    CHECK_FALSE(mute_one);
    mute.session.abort({"enough"});
    while (!mute.end.ended) co_await give_way();
    CHECK(mute.end.ended->doing == "enough");
  }(tunnel, loop.beside));
}

TEST_CASE("a WebSocket over TCP shows what the far side's kernel took, and answers pings") {
  Loop loop;
  TcpTunnel tunnel;
  loop.run([](TcpTunnel& tcp, Loop& on) -> Task<> {
    co_await tcp.open(on.executor());
    const auto fill = [](WebSocket& socket) -> Task<> {
      const std::string much(16 << 20, 'x');
      (void)co_await socket.write(as_bytes(much), true);
    };
    const auto before = tcp.client->life();
    CHECK_FALSE(before.unacknowledged);
    Scope writing(on.executor());
    writing.spawn(fill(*tcp.client));
    while (!tcp.client->life().unacknowledged) co_await give_way();
    const auto stuck = tcp.client->life();
    CHECK(stuck.acknowledged >= before.acknowledged);
    std::vector<std::byte> buffer(1 << 20);
    while (tcp.client->life().acknowledged < stuck.acknowledged + (8 << 20)) {
      const auto part = co_await tcp.server->read(buffer);
      REQUIRE(part.has_value());
    }
    // The pong comes while the client reads, and the server reads the ping.
    std::optional<Error> server_ended, client_ended;
    writing.spawn(read_once(*tcp.client, client_ended));
    (void)co_await tcp.server->ping();
    const auto read_on = [](WebSocket& socket, std::vector<std::byte>& into) -> Task<> {
      while (co_await socket.read(into)) continue;
    };
    writing.spawn(read_on(*tcp.server, buffer));
    while (tcp.server->life().control_frames == 0) co_await give_way();
    co_await writing.cancel_and_join();
  }(tunnel, loop));
}

TEST_CASE("a close frame ends a tunnel at once, though the far side leaves TCP open") {
  const bool by_server = GENERATE(true, false);
  Loop loop;
  TcpTunnel tunnel;
  loop.run([](TcpTunnel& tcp, Loop& on, bool server_closes) -> Task<> {
    co_await tcp.open(on.executor());
    // RFC 6455 5.5.1: close with 1000; a client's is masked, here with zeros.
    constexpr std::string_view of_server("\x88\x02\x03\xe8", 4), of_client("\x88\x82\0\0\0\0\x03\xe8", 8);
    const std::string_view frame = server_closes ? of_server : of_client;
    const int from = server_closes ? tcp.server_socket.get() : tcp.client_socket.get();
    REQUIRE(::write(from, frame.data(), frame.size()) == static_cast<ssize_t>(frame.size()));
    std::optional<Error> ended;
    const auto began = Clock::now();
    co_await read_once(server_closes ? *tcp.client : *tcp.server, ended);
    REQUIRE(ended.has_value());
    CHECK(ended->doing == "the far side closed the tunnel (1000)");
    CHECK(ended->code == asio::error::eof);
    CHECK(Clock::now() - began < 10s);  // Beast's own limit is 30 s
  }(tunnel, loop, by_server));
}
