// Listening sockets whose clients are many, silent or forged, and that run out of descriptors.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <set>

#include "host/listen/accept_error.h"
#include "host/listen/bind.h"
#include "host/listen/listener.h"
#include "tests/support/catch.h"
#include "tests/support/dialers_far_side.h"
#include "tests/support/service_world.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

UniqueFd client_socket(int type) { return UniqueFd(::socket(AF_INET, type | SOCK_CLOEXEC, 0)); }

bool connects(int socket, const Endpoint& to) {
  SocketAddress address(to);
  return ::connect(socket, address.get(), address.length) == 0;
}

Task<> mark_end(Task<> task, bool& ended) {
  co_await std::move(task);
  ended = true;
}

// A sandbox's worth of descriptors, and then none: until it goes.
class FewDescriptors {
 public:
  explicit FewDescriptors(std::size_t left) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const UniqueFd lowest(::dup(0));
    const rlimit few{static_cast<rlim_t>(lowest.get()) + left, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &few);
  }
  ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

}  // namespace

TEST_CASE("what accept says about the next one") {
  CHECK(accept_error(EAGAIN) == AcceptError::none_waiting);
  CHECK(accept_error(EMFILE) == AcceptError::without_resources);
  CHECK(accept_error(ECONNABORTED) == AcceptError::of_one_client);
  CHECK(accept_error(EINVAL) == AcceptError::not_listening);
  CHECK(accept_error(EBADF) == AcceptError::not_listening);
}

TEST_CASE("a listening socket that is shut down under its accept loop ends the loop") {
  Loop loop;
  UniqueFd listener = listening_socket(loopback4);
  const auto where = bound_endpoint(listener.get());
  bool ended = false;
  std::vector<UniqueFd> taken;
  // As many as the loop takes before it lets others run: the socket is shut down at that moment.
  const auto take = [&](Client, UniqueFd socket) {
    taken.push_back(std::move(socket));
    if (taken.size() == 64) ::shutdown(listener.get(), SHUT_RDWR);
  };
  const auto body = [&]() -> Task<> {
    std::vector<UniqueFd> clients;
    for (int i = 0; i < 64; ++i) {
      clients.push_back(client_socket(SOCK_STREAM));
      CHECK(connects(clients.back().get(), where));
    }
    loop.beside.spawn(mark_end(accept_sockets(loop.executor(), listener.get(), take, {}), ended));
    co_await until([&] { return ended; });
  };
  loop.run(body());
  CHECK(taken.size() == 64);
}

TEST_CASE("clients that wait for descriptors are refused in the end, and later ones are served") {
  Loop loop;
  UniqueFd listener = listening_socket(loopback4);
  const auto where = bound_endpoint(listener.get());
  std::vector<UniqueFd> clients, taken;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(client_socket(SOCK_STREAM));
    REQUIRE(connects(clients.back().get(), where));
  }
  int troubles = 0;
  ClientSink sink;
  sink.trouble = [&](const Error&) { ++troubles; };
  const auto take = [&](Client, UniqueFd socket) { taken.push_back(std::move(socket)); };
  const auto is_reset = [](int client) {
    char byte;
    return ::recv(client, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == ECONNRESET;
  };
  const auto body = [&]() -> Task<> {
    std::optional<FewDescriptors> few(32);
    loop.beside.spawn(accept_sockets(loop.executor(), listener.get(), take, sink));
    co_await until([&] { return is_reset(clients.back().get()); });
    CHECK(troubles > 0);
    CHECK(taken.size() < clients.size());
    CHECK(!is_reset(clients.front().get()));
    taken.clear();
    few.reset();
    const auto later = client_socket(SOCK_STREAM);
    CHECK(connects(later.get(), where));
    co_await until([&] { return !taken.empty(); });
  };
  loop.run(body());
}

TEST_CASE(
    "datagrams of many forged senders displace each other, and no client that was answered and came again") {
  Loop loop;
  auto bound = bind_ip(Protocol::udp, loopback4, 0, "", "");
  REQUIRE(bound.has_value());
  const auto where = bound_endpoint(bound->get());
  std::set<Endpoint> known;
  std::size_t requests = 0;
  ClientSink sink;
  sink.key = [&](const Client& client) { return FlowKey{Protocol::udp, client.address, where}; };
  sink.request = [&](std::unique_ptr<Request> request) {
    ++requests;
    known.insert(request->key().source);
    loop.beside.spawn(echo(request->accept()));
  };
  const auto ask = [&](int socket, std::string_view what) -> Task<> {
    CHECK(::send(socket, what.data(), what.size(), 0) == static_cast<ssize_t>(what.size()));
    std::string answer(64, '\0');
    ssize_t got = -1;
    co_await until([&] { return (got = ::recv(socket, answer.data(), answer.size(), MSG_DONTWAIT)) >= 0; });
    CHECK(answer.substr(0, static_cast<std::size_t>(got)) == what);
  };
  const auto body = [&]() -> Task<> {
    loop.beside.spawn(receive_datagrams(loop.executor(), bound->get(), sink));
    const auto first = client_socket(SOCK_DGRAM);
    REQUIRE(connects(first.get(), where));
    co_await ask(first.get(), "once");
    co_await ask(first.get(), "twice");
    REQUIRE(requests == 1);
    for (std::size_t forged = 0; forged < 5000; ++forged) {
      const auto sender = client_socket(SOCK_DGRAM);
      REQUIRE(connects(sender.get(), where));
      (void)!::send(sender.get(), "x", 1, 0);
      if (forged % 64 == 0) co_await give_way();
    }
    const auto later = client_socket(SOCK_DGRAM);
    REQUIRE(connects(later.get(), where));
    co_await ask(later.get(), "a new one is served");
    const auto so_far = requests;
    co_await ask(first.get(), "and the first still has its flow");
    CHECK(requests == so_far);
  };
  loop.run(body());
}

TEST_CASE("explicit addresses mean themselves alone, and no address means both families") {
  auto all4 = bind_ip(Protocol::tcp, IpAddress::v4(0, 0, 0, 0), 0, "", "");
  REQUIRE(all4.has_value());
  const auto port = bound_endpoint(all4->get()).port;
  CHECK(bind_ip(Protocol::tcp, *IpAddress::parse("::"), port, "", "").has_value());
  const auto both = bind_ip(Protocol::tcp, std::nullopt, port, "", "");
  CHECK(both.has_error());
  CHECK(both.error().exit == ExitCode::port_in_use);

  auto everywhere = bind_ip(Protocol::tcp, std::nullopt, 0, "", "");
  REQUIRE(everywhere.has_value());
  const auto client = client_socket(SOCK_STREAM);
  CHECK(connects(client.get(), {loopback4, bound_endpoint(everywhere->get()).port}));
}

TEST_CASE("an accepted connection asks a silent peer as early as a dialled one does") {
  Loop loop;
  UniqueFd listener = listening_socket(loopback4);
  const auto client = client_socket(SOCK_STREAM);
  REQUIRE(connects(client.get(), bound_endpoint(listener.get())));
  int on = 0, idle = 0;
  const auto take = [&](Client, UniqueFd socket) {
    socklen_t size = sizeof on;
    ::getsockopt(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &on, &size);
    size = sizeof idle;
    ::getsockopt(socket.get(), IPPROTO_TCP, TCP_KEEPIDLE, &idle, &size);
  };
  const auto body = [&]() -> Task<> {
    loop.beside.spawn(accept_sockets(loop.executor(), listener.get(), take, {}));
    co_await until([&] { return idle != 0; });
  };
  loop.run(body());
  CHECK(on == 1);
  CHECK(idle == 60);
}
