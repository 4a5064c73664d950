#include <algorithm>
#include "tests/support/catch.h"

#include "host/dialers/direct_dialer.h"
#include "host/services/lennut/lennut_client.h"
#include "host/services/lennut/lennut_header.h"
#include "host/services/lennut/lennut_server.h"
#include "tests/support/dialers_far_side.h"
#include "tests/support/service_world.h"

//   outside ──► proxy port ── LennutServer ◄── clients' port ◄── LennutClient ──► target
//
// Each end against a peer of the test's own, and then against the other.

using namespace nsrun;
using namespace nsrun::test;

namespace {

struct Server : ServiceWorld {
  explicit Server(Clock::duration hold = 5s, const std::string& clients_at = "tcp://127.0.0.1:0")
      : server(LennutServer::bind(service, {url("tcp://127.0.0.1:0"), url(clients_at), hold}).value()) {
    server->begin();
  }
  std::uint16_t port() const { return static_cast<std::uint16_t>(server->proxy().port); }
  std::uint16_t clients_port() const { return static_cast<std::uint16_t>(server->clients().port); }
  Task<std::unique_ptr<Connection>> outside() { return connect_to(loop.executor(), port()); }
  Task<std::unique_ptr<Connection>> waiter() { return connect_to(loop.executor(), clients_port()); }

  std::unique_ptr<LennutServer> server;
};

Task<std::string> read_some(Connection& from, std::size_t size) {
  std::string text;
  while (text.size() < size) {
    char byte = 0;
    const auto chunk = co_await from.read(std::as_writable_bytes(std::span(&byte, 1)));
    if (!chunk || chunk->end) break;
    text += byte;
  }
  co_return text;
}

// A client's options: a server and a target of 127.0.0.1, and short pauses.
LennutClient::Options options(std::uint16_t server, std::uint16_t to, std::size_t idle = 8) {
  return {.server = url("tcp://127.0.0.1:" + std::to_string(server)),
          .to = url("tcp://127.0.0.1:" + std::to_string(to)),
          .idle = idle,
          .base = 1.0,
          .most = 5ms};
}

// Descriptors: two ends of what waits at a server, and pipes that a loop keeps when no stream needs them.
constexpr std::size_t pooled = 24;

std::size_t count(const std::vector<std::string>& all, const std::string& end) {
  return static_cast<std::size_t>(
      std::ranges::count_if(all, [&](const std::string& one) { return one.ends_with(end); }));
}

// An end in a service of its own, on a loop that others use too: killed, it leaves nothing behind.
struct End : Events {
  explicit End(asio::io_context& context) : service(context, *this, "") {}
  Task<> kill() {
    co_await service.end_sources();
    co_await service.drain({});
  }
  Service service;
};

// A server and a client that come back where they were.
struct Pair {
  Pair(asio::io_context& on, std::uint16_t target) : context(on), to(target) {
    start_server();
    start_client();
  }
  void start_server() {
    server.reset();
    server_end = std::make_unique<End>(context);
    server = LennutServer::bind(server_end->service, {url(proxy), url(clients), 30s}).value();
    proxy = server->proxy().to_string();
    clients = server->clients().to_string();
    server->begin();
  }
  void start_client() {
    client.reset();
    client_end = std::make_unique<End>(context);
    const auto port = static_cast<std::uint16_t>(url(clients).port);
    client = LennutClient::make(client_end->service, options(port, to, 4)).value();
    client->begin();
  }

  asio::io_context& context;
  const std::uint16_t to;
  std::string proxy = "tcp://127.0.0.1:0", clients = "tcp://127.0.0.1:0";
  std::unique_ptr<End> server_end, client_end;
  std::unique_ptr<LennutServer> server;
  std::unique_ptr<LennutClient> client;
};

struct Seen {
  int foreign = 0, whole = 0;
};

// One stream of one byte's kind, half-closed: what comes back is of that kind alone, however soon it ends.
Task<> one_stream(Connection& connection, char mine, Seen& seen) {
  const std::string text(20'000, mine);
  const auto written = co_await connection.write(as_bytes(text));
  if (!written) co_return;
  connection.finish();
  for (std::size_t size = 0;;) {
    const auto got = co_await next_of(connection);
    if (got == "end" && size == text.size()) ++seen.whole;
    if (got == "broken" || got == "end") co_return;
    size += got.size();
    seen.foreign += got.find_first_not_of(mine) != got.npos;
  }
}

Task<> streams(Executor executor, std::uint16_t port, char mine, Seen& seen) {
  DirectDialer dialer(executor);
  const Target there{Protocol::tcp, {loopback4, port}, {}, {}};
  for (;;) {
    auto dialled = co_await dialer.dial(there);
    if (dialled)
      co_await one_stream(**dialled, mine, seen);
    else
      co_await give_way();
  }
}

Task<> kill_and_restart(ServiceWorld& load, std::uint16_t to) {
  constexpr int rounds = 100, talkers = 16;
  Pair pair(load.loop.context, to);
  const auto before = open_descriptors();
  Seen seen;
  Scope talking(load.loop.executor());
  const auto port = static_cast<std::uint16_t>(pair.server->proxy().port);
  for (int i = 0; i < talkers; ++i)
    talking.spawn(streams(load.loop.executor(), port, static_cast<char>('a' + i), seen));
  for (int round = 0; round < rounds; ++round) {
    co_await until([&, had = seen.whole] { return seen.whole > had; });  // it works again
    if (round % 2 == 0) {
      co_await pair.server_end->kill();
      pair.start_server();
    } else {
      co_await pair.client_end->kill();
      pair.start_client();
    }
  }
  co_await talking.cancel_and_join();
  co_await until([&] { return open_descriptors() <= before + pooled; });
  co_await pair.client_end->kill();
  co_await pair.server_end->kill();
  CHECK(seen.foreign == 0);
  CHECK(seen.whole >= rounds);
}

}  // namespace

TEST_CASE("a header is eight bytes, however they come") {
  CHECK(lennut::missing("").value() == 8);
  CHECK(lennut::missing("lennet0").value() == 1);
  CHECK(lennut::missing("lennet01").value() == 0);
  for (const auto* text : {"lennut", "x", "lennet02", "lennet01x"}) CHECK(lennut::missing(text).has_error());
}

TEST_CASE("the oldest client gets the header, and then the stream both ways with half-closes") {
  Server world;
  const auto body = [](Server& in) -> Task<> {
    const auto first = co_await in.waiter();
    const auto second = co_await in.waiter();
    const auto outside = co_await in.outside();
    co_await write_all(*outside, "question");
    outside->finish();
    const auto got = co_await read_all(*first);
    CHECK(got == "lennet01question");
    co_await write_all(*first, "answer");
    first->finish();
    const auto answer = co_await read_all(*outside);
    CHECK(answer == "answer");
    const auto next = co_await in.outside();
    const auto header = co_await read_some(*second, 8);
    CHECK(header == "lennet01");
  };
  world.run(body(world));
  REQUIRE_FALSE(world.ended.empty());
  CHECK(world.ended[0].ends_with(" closed"));
}

TEST_CASE("a client that has gone is not given a connection") {
  Server world;
  const auto body = [](Server& in) -> Task<> {
    for (const bool breaks : {false, true, false}) {
      const auto gone = co_await in.waiter();
      if (breaks) gone->reset();
    }
    const auto alive = co_await in.waiter();
    const auto outside = co_await in.outside();
    co_await write_all(*outside, "hello");
    const auto got = co_await read_some(*alive, 13);
    CHECK(got == "lennet01hello");
  };
  world.run(body(world));
}

TEST_CASE("a connection waits for a client for so long, in the order of arrival") {
  Server world(30s);
  const auto body = [](Server& in) -> Task<> {
    const auto first = co_await in.outside();
    co_await write_all(*first, "first");
    const auto second = co_await in.outside();
    co_await write_all(*second, "second");
    for (const std::string text : {"lennet01first", "lennet01second"}) {
      const auto late = co_await in.waiter();
      const auto got = co_await read_some(*late, text.size());
      CHECK(got == text);
    }
  };
  world.run(body(world));
}

TEST_CASE("a connection without a client is closed when it has waited") {
  Server world(20ms);
  const auto body = [](Server& in) -> Task<> {
    const auto outside = co_await in.outside();
    const auto end = co_await next_of(*outside);
    CHECK(end == "broken");
  };
  world.run(body(world));
  CHECK(count(world.ended, " failed") == 1);
}

TEST_CASE("128 clients wait, a further one is closed at once") {
  Server world;
  const auto body = [](Server& in) -> Task<> {
    std::vector<std::unique_ptr<Connection>> waiting;
    for (std::size_t i = 0; i < WaitingClients::most; ++i) waiting.push_back(co_await in.waiter());
    const auto further = co_await in.waiter();
    const auto end = co_await next_of(*further);
    CHECK(end == "end");
    const auto outside = co_await in.outside();
    const auto header = co_await read_some(*waiting.front(), 8);
    CHECK(header == "lennet01");
    const auto again = co_await in.waiter();  // there is room for one
    waiting.clear();
    const auto another = co_await in.outside();
    const auto served = co_await read_some(*again, 8);
    CHECK(served == "lennet01");
  };
  world.run(body(world));
}

TEST_CASE("a client takes a header in pieces, and what follows it is the stream") {
  ServiceWorld world;
  UniqueFd listener = listening_socket(loopback4), target = listening_socket(loopback4);
  const auto server_port = bound_endpoint(listener.get()).port;
  auto client =
      LennutClient::make(world.service, options(server_port, bound_endpoint(target.get()).port, 1)).value();
  serve_stream(world.loop, std::move(target), echo);
  std::vector<std::unique_ptr<Connection>> came;
  serve_stream(world.loop, std::move(listener), [&](std::unique_ptr<Connection> connection) -> Task<> {
    came.push_back(std::move(connection));
    return give_way();
  });
  client->begin();
  const auto body = [](ServiceWorld&, auto& all) -> Task<> {
    co_await until([&] { return all.size() == 1; });
    for (const char c : std::string("lennet01")) {
      const std::string byte(1, c);
      co_await write_all(*all[0], byte);
      co_await give_way();
    }
    co_await write_all(*all[0], "hello");
    all[0]->finish();
    const auto echoed = co_await read_all(*all[0]);
    CHECK(echoed == "hello");
    co_await until([&] { return all.size() == 2; });  // another waits in its place
    co_await write_all(*all[1], "lennut01");
    const auto end = co_await next_of(*all[1]);
    CHECK((end == "end" || end == "broken"));
  };
  world.run(body(world, came));
  CHECK(count(world.ended, " closed") == 1);
  REQUIRE(world.warnings.size() == 1);
  CHECK(world.warnings[0].find("does not speak as lennut does") != std::string::npos);
}

TEST_CASE(
    "one waits until connections come in quick succession, as many as it is told then, and a full server") {
  ServiceWorld world;
  UniqueFd listener = listening_socket(loopback4);
  auto client = LennutClient::make(world.service, options(bound_endpoint(listener.get()).port, 1, 3)).value();
  std::vector<std::unique_ptr<Connection>> came;
  int turned_away = 5;
  serve_stream(world.loop, std::move(listener), [&](std::unique_ptr<Connection> connection) -> Task<> {
    if (turned_away == 0 || --turned_away == 0) came.push_back(std::move(connection));
    return give_way();
  });
  client->begin();
  const auto body = [](LennutClient& in, auto& all) -> Task<> {
    co_await in.connected();
    for (int turn = 0; turn < 1000; ++turn) co_await give_way();
    CHECK(all.size() == 1);
    for (std::size_t used = 0; used < 2; ++used) {
      co_await until([&] { return all.size() > used; });
      co_await write_all(*all[used], "lennet01");
    }
    co_await until([&] { return all.size() == 2 + 3; });
    for (int turn = 0; turn < 1000; ++turn) co_await give_way();
    CHECK(all.size() == 2 + 3);
  };
  world.run(body(*client, came));
  CHECK(world.warnings.size() == 1);
}

TEST_CASE("a thousand connections at once lose nothing") {
  Server world(30s);
  UniqueFd target = listening_socket(loopback4, 1024);
  auto client =
      LennutClient::make(world.service, options(world.clients_port(), bound_endpoint(target.get()).port))
          .value();
  serve_stream(world.loop, std::move(target), echo);
  client->begin();
  const auto before = open_descriptors();
  int whole = 0;
  const auto one = [](Server& in, std::string text, int& right) -> Task<> {
    const auto outside = co_await in.outside();
    co_await write_all(*outside, text);
    outside->finish();
    const auto echoed = co_await read_all(*outside);
    right += echoed == text;
  };
  const auto body = [](Server& in, auto each, int& right, std::size_t descriptors) -> Task<> {
    constexpr int many = 1000;
    Scope all(in.loop.executor());
    for (int i = 0; i < many; ++i) {
      std::string text(static_cast<std::size_t>(1000 + i * 7), static_cast<char>('a' + i % 26));
      all.spawn(each(in, text + std::to_string(i), right));
    }
    co_await all.join();
    CHECK(right == many);
    co_await until([&] { return open_descriptors() <= descriptors + pooled; });
  };
  world.run(body(world, one, whole, before));
}

TEST_CASE("either end may be killed at any time: no stream gets a foreign byte, and nothing is left") {
  UniqueFd target = listening_socket(loopback4, 1024);
  ServiceWorld load;
  const auto to = bound_endpoint(target.get()).port;
  serve_stream(load.loop, std::move(target), echo);
  load.run(kill_and_restart(load, to));
}
