#include "host/carry/inspect.h"

#include <sys/socket.h>

#include <random>
#include "tests/support/catch.h"

#include "host/flow/memory_pipe.h"
#include "host/flow/relay.h"
#include "host/flow/socket_connection.h"
#include "tests/support/client_hellos.h"
#include "tests/support/dialers_loop.h"

// A flow between its acceptance and its relay:
//
//   guest ◄─ pipe ─► near │ inspect, then relay │ far ◄─ pipe ─► server

using namespace nsrun;
using namespace nsrun::test;

namespace {

// The last record that was reported.
struct LastFlow final : Events {
  void flow_ended(const FlowRecord& record) override {
    end = record.end;
    why = record.why;
    allowed = record.allowed;
    up = record.bytes_up;
    down = record.bytes_down;
  }
  FlowEnd end = FlowEnd::open;
  std::string why;
  bool allowed = false;
  std::uint64_t up = 0, down = 0;
};

struct Flow {
  explicit Flow(Executor executor, std::size_t capacity = memory_pipe_capacity) {
    std::tie(guest, near) = memory_pipe(executor, Transport::stream, capacity);
    std::tie(far, server) = memory_pipe(executor, Transport::stream, capacity);
    verdict.name = "good.example";
  }

  Task<> run() {
    FlowKey key;
    key.target.port = 80;  // what a request without a port is for
    auto record = std::make_unique<FlowRecord>(1, key, events, flows);
    record->allowed = true;
    auto rest = co_await inspect(std::move(near), *far, verdict, *record);
    agreed = rest != nullptr;
    if (rest) co_await relay(std::move(rest), std::move(far), std::move(record));
  }

  LastFlow events;
  LiveFlows flows;
  Verdict verdict{.allowed = true, .inspection = Inspection::name};
  std::unique_ptr<Connection> guest, near, far, server;
  bool agreed = false;
};

Task<> say(Connection& connection, std::string text) {
  const auto written = co_await connection.write(as_bytes(text));
  CHECK(written.has_value());
}

// As much as there is up to `size` bytes, or the end; "broken" for an error.
Task<std::string> hear(Connection& connection, std::size_t size) {
  std::string text, buffer(4096, '\0');
  while (text.size() < size) {
    const auto room =
        std::as_writable_bytes(std::span(buffer)).first(std::min(size - text.size(), buffer.size()));
    const auto chunk = co_await connection.read(room);
    if (!chunk) co_return "broken";
    if (chunk->end) break;
    text += buffer.substr(0, chunk->size);
  }
  co_return text;
}

constexpr std::size_t all = 1 << 30;  // bytes: to the end

// Sends `size` bytes that are a function of their place, in pieces and at moments that differ from run to
// run.
Task<> send_pieces(Connection& connection, std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  for (std::size_t at = 0; at < size;) {
    std::string piece;
    for (auto left = std::min<std::size_t>(random() % 3000 + 1, size - at); left > 0; --left, ++at)
      piece += static_cast<char>(at * 7 + at / 251);
    co_await say(connection, std::move(piece));
    for (auto turns = random() % 4; turns > 0; --turns) co_await give_way();
  }
  connection.finish();
}

// Reads slowly, so that writers wait in the middle of what they write.
Task<> receive_pieces(Connection& connection, std::size_t size, std::size_t before, unsigned seed) {
  std::mt19937 random(seed);
  std::string text;
  for (std::size_t had = all; had != text.size();) {
    had = text.size();
    for (auto turns = random() % 40; turns > 0; --turns) co_await give_way();
    text += co_await hear(connection, random() % 2000 + 1);
  }
  REQUIRE(text.size() == before + size);
  for (std::size_t at = 0; at < size; ++at)
    if (text[before + at] != static_cast<char>(at * 7 + at / 251)) FAIL("byte " << at << " differs");
}

}  // namespace

TEST_CASE("the far side's words do not wait for the guest's") {
  Loop loop;
  Flow flow(loop.executor());
  const auto body = [](Loop& in, Flow& of) -> Task<> {
    in.beside.spawn(of.run());
    co_await say(*of.server, "220 hello");
    const auto greeting = co_await hear(*of.guest, 9);
    CHECK(greeting == "220 hello");
    co_await say(*of.guest, "EHLO");
    const auto answer = co_await hear(*of.server, 4);
    CHECK(answer == "EHLO");
    of.server->finish();
    of.guest->finish();
    co_await in.beside.join();
    CHECK(of.events.end == FlowEnd::closed);
    CHECK(of.events.up == 4);
    CHECK(of.events.down == 9);
  };
  loop.run(body(loop, flow));
}

TEST_CASE("a flow that does not agree is reset on both sides, and nothing of it came to the far side") {
  Loop loop;
  Flow flow(loop.executor());
  const auto body = [](Loop& in, Flow& of) -> Task<> {
    in.beside.spawn(of.run());
    const std::string hello = client_hello({"evil.example"});
    co_await say(*of.guest, hello);
    const auto at_server = co_await hear(*of.server, 1);
    const auto at_guest = co_await hear(*of.guest, 1);
    CHECK(at_server == "broken");
    CHECK(at_guest == "broken");
    co_await in.beside.join();
    CHECK_FALSE(of.agreed);
    CHECK_FALSE(of.events.allowed);
    CHECK(of.events.end == FlowEnd::refused);
    CHECK(of.events.up == 0);
    CHECK_THAT(of.events.why, Catch::Contains("evil.example"));
  };
  loop.run(body(loop, flow));
}

TEST_CASE("a far side that has nothing to say may end before the guest begins") {
  Loop loop;
  Flow flow(loop.executor());
  const auto body = [](Loop& in, Flow& of) -> Task<> {
    in.beside.spawn(of.run());
    of.server->finish();
    const auto at_guest = co_await hear(*of.guest, all);
    CHECK(at_guest.empty());
    const std::string hello = client_hello({"good.example"});
    co_await say(*of.guest, hello);
    of.guest->finish();
    const auto at_server = co_await hear(*of.server, all);
    CHECK(at_server == hello);
    co_await in.beside.join();
    CHECK(of.events.end == FlowEnd::closed);
  };
  loop.run(body(loop, flow));
}

TEST_CASE("a flow that is cut off while it is inspected does not look whole") {
  Loop loop;
  Flow flow(loop.executor());
  const auto body = [](Loop& in, Flow& of) -> Task<> {
    in.beside.spawn(of.run());
    const std::string hello = client_hello({"good.example"}).substr(0, 20);
    co_await say(*of.guest, hello);
    co_await give_way();
    co_await in.beside.cancel_and_join();
    const auto at_server = co_await hear(*of.server, 1);
    CHECK(at_server == "broken");
    CHECK(of.events.end == FlowEnd::sandbox_ended);
  };
  loop.run(body(loop, flow));
}

TEST_CASE("an end that breaks while a flow is inspected takes the other with it") {
  Loop loop;
  Flow flow(loop.executor());
  const bool guest_breaks = GENERATE(false, true);
  const auto body = [](Loop& in, Flow& of, bool by_guest) -> Task<> {
    in.beside.spawn(of.run());
    co_await give_way();
    (by_guest ? of.guest : of.server)->reset();
    const auto other = co_await hear(by_guest ? *of.server : *of.guest, 1);
    CHECK(other == "broken");
    co_await in.beside.join();
    CHECK(of.events.end == (by_guest ? FlowEnd::reset_by_source : FlowEnd::reset_by_target));
  };
  loop.run(body(loop, flow, guest_breaks));
}

TEST_CASE("nothing is lost or doubled where the relay takes over, whoever speaks when") {
  const unsigned seed = GENERATE(range(0u, 60u));
  const bool is_tls = seed % 2;
  Loop loop;
  Flow flow(loop.executor(), 8192);
  const auto body = [](Loop& in, Flow& of, unsigned number, bool tls) -> Task<> {
    in.beside.spawn(of.run());
    const std::string hello = client_hello({"good.example"}), word = "word";
    const std::string& first = tls ? hello : word;
    constexpr std::size_t size = 60'000;
    const auto up = [](Connection& guest, std::string begin, unsigned by) -> Task<> {
      for (unsigned turns = by * 3; turns > 0; --turns) co_await give_way();
      co_await say(guest, std::move(begin));
      co_await send_pieces(guest, size, by);
    };
    Scope others(in.executor());
    others.spawn(up(*of.guest, first, number));
    others.spawn(send_pieces(*of.server, size, number + 1));
    others.spawn(receive_pieces(*of.server, size, first.size(), number));
    others.spawn(receive_pieces(*of.guest, size, 0, number + 1));
    co_await others.join();
    co_await in.beside.join();
    CHECK(of.events.end == FlowEnd::closed);
    CHECK(of.events.up == size + first.size());
    CHECK(of.events.down == size);
  };
  loop.run(body(loop, flow, seed, is_tls));
}

TEST_CASE("what the far side says in the very moment of agreement is not lost") {
  Loop loop;
  Flow flow(loop.executor());
  const auto socket_of = [&](std::unique_ptr<Connection>& ours) {
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    ours = std::make_unique<SocketConnection>(loop.executor(), UniqueFd(pair[0]));
    return UniqueFd(pair[1]);
  };
  UniqueFd guest = socket_of(flow.near), server = socket_of(flow.far);
  const auto body = [](Loop& in, Flow& of, UniqueFd& at_guest, UniqueFd& at_server) -> Task<> {
    in.beside.spawn(of.run());
    co_await give_way();
    // Both are ready at once, the guest's end first.
    REQUIRE(::send(at_guest.get(), "word", 4, 0) == 4);
    REQUIRE(::send(at_server.get(), "hello", 5, 0) == 5);
    ::shutdown(at_guest.get(), SHUT_WR);
    ::shutdown(at_server.get(), SHUT_WR);
    co_await in.beside.join();
    char buffer[10];
    CHECK(::recv(at_guest.get(), buffer, sizeof buffer, 0) == 5);
    CHECK(::recv(at_server.get(), buffer, sizeof buffer, 0) == 4);
    CHECK(of.events.end == FlowEnd::closed);
  };
  loop.run(body(loop, flow, guest, server));
}

TEST_CASE("of HTTP requests those that agree go on, and the first that does not is the end") {
  Loop loop;
  Flow flow(loop.executor());
  flow.verdict.inspection = Inspection::http;
  const auto body = [](Loop& in, Flow& of) -> Task<> {
    in.beside.spawn(of.run());
    const std::string good = "GET / HTTP/1.1\r\nHost: good.example\r\n\r\n";
    co_await say(*of.guest, good);
    const auto first = co_await hear(*of.server, good.size());
    CHECK(first == good);
    co_await say(*of.guest, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    const auto second = co_await hear(*of.server, 1);
    CHECK(second == "broken");
    co_await in.beside.join();
    CHECK(of.events.end == FlowEnd::refused);
    CHECK_FALSE(of.events.allowed);
  };
  loop.run(body(loop, flow));
}
