// What only the dialers through a proxy have to get right.

#include "tests/support/catch.h"

#include "host/dialers/direct_dialer.h"
#include "host/dialers/http_connect_dialer.h"
#include "host/dialers/socks5_dialer.h"
#include "tests/support/dialers_subjects.h"

namespace nsrun::test {
namespace {

Task<std::string> first_bytes(Subject& subject, Target target, std::size_t size) {
  const auto near = (co_await subject.dialer().dial(target)).value();
  std::string bytes(size, '\0');
  (co_await read_exactly(*near, std::as_writable_bytes(std::span(bytes)))).value();
  co_return bytes;
}

Task<> greet(std::unique_ptr<Connection> near) { co_await write_all(*near, " and the target's"); }

Task<> early_bytes_arrive(Subject& subject) {
  const auto target = subject.serve(Protocol::tcp, greet);
  const std::string expected = "the proxy's bytes and the target's";
  const auto bytes = co_await first_bytes(subject, target, expected.size());
  CHECK(bytes == expected);
}

Task<> dial_fails(Subject& subject, int code) {
  const auto target = subject.serve(Protocol::tcp, echo);
  const auto near = co_await subject.dialer().dial(target);
  REQUIRE(!near);
  CHECK(near.error().code == errno_code(code));
  CHECK(near.error().message().find("proxy tcp/") == 0);
}

Task<> dial_succeeds(Subject& subject) {
  const auto target = subject.serve(Protocol::tcp, echo);
  const auto near = co_await subject.dialer().dial(target);
  CHECK(near.has_value());
}

Task<> dial_name(Subject& subject, std::string& asked) {
  auto target = subject.serve(Protocol::tcp, echo);
  target.name = "localhost";
  const auto near = co_await subject.dialer().dial(target);
  CHECK(near.has_value());
  asked = "localhost:" + std::to_string(target.endpoint.port);
}

Task<> association_ends(Socks5& subject) {
  const auto target = subject.serve(Protocol::udp, echo);
  const auto near = (co_await subject.dialer().dial(target)).value();
  co_await write_all(*near, "x");
  std::byte buffer[16];
  const auto echoed = (co_await near->read(buffer)).value();
  CHECK(echoed.size == 1);
  subject.end_associations.raise();
  const auto chunk = co_await near->read(buffer);
  REQUIRE(!chunk);
  CHECK(chunk.error().code == errno_code(ECONNRESET));
  const auto written = co_await near->write(Bytes(buffer));
  CHECK(!written);
}

Task<> too_large_is_lost(Socks5& subject) {
  const auto near = (co_await subject.dialer().dial(subject.serve(Protocol::udp, echo))).value();
  std::vector<std::byte> buffer(65535);
  co_await write_all(*near, std::string(65498, 'x'));
  co_await write_all(*near, std::string(65497, 'x'));
  const auto arrived = (co_await near->read(buffer)).value();
  CHECK(arrived.size == 65497);
}

Task<> icmp_is_refused(Subject& subject) {
  const Target target{Protocol::icmp, {loopback4, 0}, {}};
  const auto near = co_await subject.dialer().dial(target);
  REQUIRE(!near);
  CHECK(near.error().code == errno_code(EPROTONOSUPPORT));
}

Task<> talk_nonsense(std::unique_ptr<Connection> client, std::string answer) {
  std::byte buffer[512];
  (co_await client->read(buffer)).value();
  co_await write_all(*client, answer);
}

template <class ProxyDialer>
Task<> answer_ends_at_the_limit(Loop& loop, std::string answer) {
  auto listener = listening_socket(loopback4);
  const Target proxy{Protocol::tcp, bound_endpoint(listener.get()), {}};
  const auto trickle_answer = [](std::unique_ptr<Connection> client, std::string bytes) -> Task<> {
    co_await trickle(*client, std::move(bytes));
  };
  serve_stream(loop, std::move(listener),
               [=](std::unique_ptr<Connection> client) { return trickle_answer(std::move(client), answer); });
  ProxyDialer dialer(std::make_unique<DirectDialer>(loop.executor()), proxy, {}, trickle_limit);
  const Target target{Protocol::tcp, {loopback4, 9}, {}};
  const auto began = Clock::now();
  const auto near = co_await dialer.dial(target);
  REQUIRE(!near);
  CHECK(near.error().code == errno_code(ETIMEDOUT));
  CHECK(Clock::now() - began < trickle_pause * trickled);
}

template <class ProxyDialer>
Task<> nonsense_is_an_error(Loop& loop, std::string answer, int code) {
  auto listener = listening_socket(loopback4);
  const Target proxy{Protocol::tcp, bound_endpoint(listener.get()), {}};
  serve_stream(loop, std::move(listener),
               [&](std::unique_ptr<Connection> client) { return talk_nonsense(std::move(client), answer); });
  ProxyDialer dialer(std::make_unique<DirectDialer>(loop.executor()), proxy);
  const Target target{Protocol::tcp, {loopback4, 9}, {}};
  const auto near = co_await dialer.dial(target);
  REQUIRE(!near);
  CHECK(near.error().code == errno_code(code));
}

TEMPLATE_TEST_CASE("bytes that come with the proxy's answer are the target's", "[proxies]", Socks5,
                   HttpConnect) {
  Loop loop;
  TestType subject(loop);
  subject.options.after_answer = "the proxy's bytes";
  loop.run(early_bytes_arrive(subject));
}

TEMPLATE_TEST_CASE("a proxy gets names as they are", "[proxies]", Socks5, HttpConnect) {
  Loop loop;
  TestType subject(loop);
  std::string asked;
  loop.run(dial_name(subject, asked));
  CHECK(subject.seen.last_target == asked);
}

TEMPLATE_TEST_CASE("a proxy that wants a password and gets none refuses", "[proxies]", Socks5, HttpConnect) {
  Loop loop;
  TestType subject(loop);
  subject.options.wants = Credentials{"anna", "secret"};
  loop.run(dial_fails(subject, EACCES));
}

TEST_CASE("a SOCKS5 proxy takes the right password and no other", "[proxies]") {
  Loop loop;
  Socks5 subject(loop);
  subject.options.wants = Credentials{"anna", "secret"};
  SECTION("right") {
    subject.credentials = subject.options.wants;
    loop.run(dial_succeeds(subject));
  }
  SECTION("wrong") {
    subject.credentials = Credentials{"anna", "guess"};
    loop.run(dial_fails(subject, EACCES));
  }
  SECTION("needless") {
    subject.options.wants.reset();
    subject.credentials = Credentials{"anna", "secret"};
    loop.run(dial_succeeds(subject));
  }
}

TEST_CASE("an HTTP proxy takes the right password and no other", "[proxies]") {
  Loop loop;
  HttpConnect subject(loop);
  subject.options.wants = Credentials{"", "YW5uYTpzZWNyZXQ="};  // anna:secret
  SECTION("right") {
    subject.credentials = Credentials{"anna", "secret"};
    loop.run(dial_succeeds(subject));
  }
  SECTION("wrong") {
    subject.credentials = Credentials{"anna", "guess"};
    loop.run(dial_fails(subject, EACCES));
  }
}

TEST_CASE("an HTTP proxy's interim answers are passed over", "[proxies]") {
  Loop loop;
  HttpConnect subject(loop);
  subject.options.before_answer = "HTTP/1.1 100 Continue\r\n\r\n";
  loop.run(dial_succeeds(subject));
}

TEST_CASE("the end of the control connection ends a SOCKS5 association", "[proxies]") {
  Loop loop;
  Socks5 subject(loop);
  loop.run(association_ends(subject));
}

TEST_CASE("a datagram too large for SOCKS5 over IPv4 is lost, and the next is not", "[proxies]") {
  Loop loop;
  Socks5 subject(loop);
  subject.options.listen = loopback4;
  subject.options.says_bound = loopback4;
  loop.run(too_large_is_lost(subject));
}

TEST_CASE("SOCKS5 carries no icmp", "[proxies]") {
  Loop loop;
  Socks5 subject(loop);
  loop.run(icmp_is_refused(subject));
}

TEST_CASE("a proxy that speaks something else is an error", "[proxies]") {
  Loop loop;
  loop.run(nonsense_is_an_error<Socks5Dialer>(loop, "HTTP/1.1 400 Bad Request\r\n\r\n", EPROTO));
  loop.run(nonsense_is_an_error<HttpConnectDialer>(loop, "220 mail.example.org ESMTP\r\n\r\n", EPROTO));
}

TEST_CASE("a proxy that hangs up early is an error", "[proxies]") {
  Loop loop;
  loop.run(nonsense_is_an_error<Socks5Dialer>(loop, "\x05", ECONNRESET));
  loop.run(nonsense_is_an_error<HttpConnectDialer>(loop, "HTTP/1.1 200 OK\r\n", ECONNRESET));
}

TEST_CASE("a proxy that answers a byte now and then gets no longer than the limit", "[proxies]") {
  Loop loop;
  // No login; a reply with a name of 255 bytes (RFC 1928 6).
  const auto reply = std::string("\x05\x00\x05\x00\x00\x03\xff", 7) + std::string(255, 'x');
  loop.run(answer_ends_at_the_limit<Socks5Dialer>(loop, reply));
  loop.run(answer_ends_at_the_limit<HttpConnectDialer>(
      loop, "HTTP/1.1 200 OK\r\nX: " + std::string(trickled, 'x')));
}

TEST_CASE("an answer without end is an error", "[proxies]") {
  Loop loop;
  const auto head = "HTTP/1.1 200 OK\r\nX: " + std::string(64 * 1024, 'x');
  loop.run(nonsense_is_an_error<HttpConnectDialer>(loop, head, EPROTO));
}

}  // namespace
}  // namespace nsrun::test
