#include "host/flow/socket_relay.h"

#include <sys/socket.h>

#include <thread>
#include "tests/support/catch.h"

#include "host/flow/pipe_pool.h"
#include "host/flow/socket_connection.h"
#include "tests/support/dialers_loop.h"
#include "tests/support/stack_packets.h"

// Two kernel sockets, relayed: through pipes as long as there are any, else through the shared buffer.
//
//   client ◄──► near ═ relay ═ far ◄──► server

using namespace nsrun;
using namespace nsrun::test;

namespace {

constexpr std::size_t size = 8 << 20;  // bytes: several pipes full

// A connected pair of TCP sockets on loopback.
std::pair<UniqueFd, UniqueFd> tcp_pair() {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  SocketAddress address(Endpoint{IpAddress::v4(127, 0, 0, 1), 0});
  REQUIRE(::bind(listener.get(), address.get(), address.length) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  ::getsockname(listener.get(), address.get(), &address.length);
  UniqueFd one(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::connect(one.get(), address.get(), address.length) == 0);
  UniqueFd other(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  return {std::move(one), std::move(other)};
}

struct Relayed {
  std::pair<UniqueFd, UniqueFd> client = tcp_pair(), server = tcp_pair();  // first: the test's; second: ours
  LiveFlows flows;
  Events events;
  FlowRecord record{1, {}, events, flows, Asker::client};

  Task<> relay(Executor executor) {
    co_await relay_sockets(executor, std::move(client.second), std::move(server.second), record);
  }
};

void send_all(int socket, const Octets& bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t sent = ::send(socket, &bytes[at], bytes.size() - at, MSG_NOSIGNAL);
    if (sent <= 0) return;
    at += static_cast<std::size_t>(sent);
  }
  ::shutdown(socket, SHUT_WR);
}

Octets receive_all(int socket) {
  Octets all(size + 1);
  std::size_t at = 0;
  for (ssize_t got; (got = ::recv(socket, &all[at], all.size() - at, 0)) > 0;)
    at += static_cast<std::size_t>(got);
  all.resize(at);
  return all;
}

std::vector<std::unique_ptr<PipeLease>> all_pipes_of(PipePool& pool) {
  std::vector<std::unique_ptr<PipeLease>> lent;
  for (std::size_t i = 0; i < PipePool::max_lent; ++i) lent.push_back(std::make_unique<PipeLease>(pool));
  return lent;
}

}  // namespace

TEST_CASE("two sockets are relayed whole, both ways at once, with pipes and without") {
  const bool with_pipes = GENERATE(true, false);
  Loop loop;
  auto& pool = asio::use_service<PipePool>(loop.context);
  const auto taken = with_pipes ? std::vector<std::unique_ptr<PipeLease>>() : all_pipes_of(pool);
  Relayed flow;
  const auto up = pattern(size, 1), down = pattern(size, 2);
  Octets at_server, at_client;
  std::thread client_sends([&] { send_all(flow.client.first.get(), up); });
  std::thread server_sends([&] { send_all(flow.server.first.get(), down); });
  std::thread client_receives([&] { at_client = receive_all(flow.client.first.get()); });
  std::thread server_receives([&] { at_server = receive_all(flow.server.first.get()); });
  loop.run(flow.relay(loop.executor()));
  for (auto* thread : {&client_sends, &server_sends, &client_receives, &server_receives}) thread->join();
  const bool same = at_server == up && at_client == down;
  CHECK(same);
  CHECK(flow.record.end == FlowEnd::closed);
  CHECK((flow.record.bytes_up == size && flow.record.bytes_down == size));
  CHECK(pool.lent() == taken.size());
}

TEST_CASE("flows that move nothing hold no pipe") {
  Loop loop;
  auto& pool = asio::use_service<PipePool>(loop.context);
  std::vector<std::unique_ptr<Relayed>> flows;
  for (int i = 0; i < 50; ++i) {
    flows.push_back(std::make_unique<Relayed>());
    loop.beside.spawn(flows.back()->relay(loop.executor()));
  }
  CHECK(pool.lent() == 0);
  const auto busy = pattern(100);
  ::send(flows[0]->client.first.get(), busy.data(), busy.size(), 0);
  loop.run([](Relayed& flow) -> Task<> {
    while (flow.record.bytes_up < 100) co_await give_way();
  }(*flows[0]));
  CHECK(pool.lent() == 0);
}

TEST_CASE("a pipe that was given back with something in it is not lent again") {
  asio::io_context context;
  auto& pool = asio::use_service<PipePool>(context);
  {
    PipeLease pipe(pool);
    REQUIRE(pipe);
    REQUIRE(::write((*pipe).write.get(), "left over", 9) == 9);
    pipe.filled = 9;
  }
  PipeLease next(pool);
  REQUIRE(next);
  char byte;
  CHECK(::read((*next).read.get(), &byte, 1) < 0);
  CHECK((*next).size >= 256 << 10);
}

TEST_CASE("a target that breaks off resets the source, whatever is still in the pipe") {
  const bool with_pipes = GENERATE(true, false);
  Loop loop;
  auto& pool = asio::use_service<PipePool>(loop.context);
  const auto taken = with_pipes ? std::vector<std::unique_ptr<PipeLease>>() : all_pipes_of(pool);
  Relayed flow;
  const auto bytes = pattern(size);
  std::thread client([&] { send_all(flow.client.first.get(), bytes); });
  std::thread server([&] {
    char byte;
    (void)!::recv(flow.server.first.get(), &byte, 1, 0);
    const linger at_once{1, 0};
    ::setsockopt(flow.server.first.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    flow.server.first.reset();
  });
  loop.run(flow.relay(loop.executor()));
  client.join();
  server.join();
  CHECK(flow.record.end == FlowEnd::reset_by_target);
  CHECK(pool.lent() == taken.size());
}
