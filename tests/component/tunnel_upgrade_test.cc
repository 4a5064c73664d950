// Who gets a tunnel of a server, before anything is said in it.

#include "host/tunnel/upgrade.h"
#include "tests/support/catch.h"
#include "tests/support/dialers_far_side.h"
#include "tests/support/service_world.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

Task<> serve(std::unique_ptr<Connection> connection, UpgradeRules rules, bool has_room) {
  (void)co_await give_tunnel(std::move(connection), rules, has_room);
}

// The first line of the answer to a WebSocket's request with these fields.
std::string answer_to(const std::string& fields, const UpgradeRules& rules = {}, bool has_room = true) {
  Loop loop;
  UniqueFd listener = listening_socket(loopback4);
  const auto port = bound_endpoint(listener.get()).port;
  serve_stream(loop, std::move(listener), [&](std::unique_ptr<Connection> connection) {
    return serve(std::move(connection), rules, has_room);
  });
  std::string answer;
  const auto body = [&]() -> Task<> {
    const auto client = co_await connect_to(loop.executor(), port);
    co_await write_all(*client,
                       "GET / HTTP/1.1\r\n" + fields +
                           "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    answer = co_await read_until(*client, "\r\n");
  };
  loop.run(body());
  return answer.substr(0, answer.find("\r\n"));
}

constexpr auto opened = "HTTP/1.1 101 Switching Protocols", forbidden = "HTTP/1.1 403 Forbidden";

}  // namespace

TEST_CASE("without a token, a page whose name may lead anywhere opens no tunnel") {
  CHECK(answer_to("Host: attacker.example:3001\r\nOrigin: http://attacker.example:3001\r\n") == forbidden);
  CHECK(answer_to("Host: localhost.attacker.example\r\nOrigin: http://localhost.attacker.example\r\n") ==
        forbidden);
  CHECK(answer_to("Host: 127.0.0.1:3001\r\nOrigin: http://attacker.example\r\n") == forbidden);
  CHECK(answer_to("Host: 127.0.0.1:3001\r\nOrigin: null\r\n") == forbidden);
}

TEST_CASE("a page from an address, localhost or the server's own name may open one") {
  CHECK(answer_to("Host: 127.0.0.1:3001\r\nOrigin: http://127.0.0.1:3001\r\n") == opened);
  CHECK(answer_to("Host: [::1]:3001\r\nOrigin: http://[::1]:3001\r\n") == opened);
  CHECK(answer_to("Host: localhost:3001\r\nOrigin: http://localhost:3001\r\n") == opened);
  CHECK(answer_to("Host: tunnel.example\r\nOrigin: https://tunnel.example\r\n", {.name = "tunnel.example"}) ==
        opened);
}

TEST_CASE(
    "a client that is no page may use any name, and one with the token comes from any page of that name") {
  CHECK(answer_to("Host: tunnel.example\r\n") == opened);
  CHECK(answer_to("Host: tunnel.example\r\nOrigin: https://tunnel.example\r\nAuthorization: Bearer t0ken\r\n",
                  {.token = "t0ken"}) == opened);
}

TEST_CASE("a client that asks for a tunnel a byte now and then gets no longer than the limit") {
  Loop loop;
  UniqueFd listener = listening_socket(loopback4);
  const auto port = bound_endpoint(listener.get()).port;
  const UpgradeRules rules;
  boost::system::error_code ended;
  const auto serve_one = [](std::unique_ptr<Connection> connection, const UpgradeRules& by,
                            boost::system::error_code& into) -> Task<> {
    const auto given = co_await give_tunnel(std::move(connection), by, true, trickle_limit);
    if (!given) into = given.error().code;
  };
  serve_stream(loop, std::move(listener), [&](std::unique_ptr<Connection> connection) {
    return serve_one(std::move(connection), rules, ended);
  });
  const auto body = [&]() -> Task<> {
    const auto client = co_await connect_to(loop.executor(), port);
    co_await trickle(*client, "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(trickled, 'x'));
  };
  const auto began = Clock::now();
  loop.run(body());
  CHECK(ended == errno_code(ETIMEDOUT));
  CHECK(Clock::now() - began < trickle_pause * trickled);
}

TEST_CASE("a server without room says so") {
  CHECK(answer_to("Host: a\r\n", {}, false) == "HTTP/1.1 503 Service Unavailable");
}
