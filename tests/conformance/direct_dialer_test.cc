// What only the host's own sockets have: names, checks, pings, options, asynchronous errors.

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <array>
#include <cstring>
#include "tests/support/catch.h"

#include "host/dialers/direct_dialer.h"
#include "host/flow/socket_connection.h"
#include "tests/support/dialers_subjects.h"

namespace nsrun::test {
namespace {

int option(int socket, int level, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  ::getsockopt(socket, level, name, &value, &length);
  return value;
}

Task<> options_are_set(Subject& subject) {
  const auto target = subject.serve(Protocol::tcp, echo);
  const auto near = (co_await subject.dialer().dial(target)).value();
  const int socket = near->socket();
  CHECK(option(socket, IPPROTO_TCP, TCP_NODELAY) == 1);
  CHECK(option(socket, SOL_SOCKET, SO_KEEPALIVE) == 1);
  CHECK(option(socket, IPPROTO_TCP, TCP_KEEPIDLE) == 60);
  CHECK(option(socket, IPPROTO_TCP, TCP_KEEPINTVL) == 30);
}

Task<> dial_localhost(Subject& subject, Dialer& dialer, AddressCheck permits, int expected) {
  auto target = subject.serve(Protocol::tcp, echo);
  target.name = "localhost";
  target.permits = std::move(permits);
  const auto near = co_await dialer.dial(target);
  CHECK((near ? boost::system::error_code{} : near.error().code).value() == expected);
}

Task<> dial_by_address(Subject& subject, Dialer& dialer) {
  auto target = subject.serve(Protocol::tcp, echo);
  target.permits = [](const IpAddress&) { return false; };
  const auto near = co_await dialer.dial(target);
  CHECK(near.has_value());
}

Task<> dial_impossible_name(Dialer& dialer) {
  // A label of more than 63 bytes: getaddrinfo fails without asking anybody.
  const Target target{Protocol::tcp, {{}, 80}, std::string(64, 'a')};
  const auto near = co_await dialer.dial(target);
  REQUIRE(!near);
  CHECK(near.error().code == errno_code(EHOSTUNREACH));
}

Task<> udp_refusal(Dialer& dialer) {
  const auto nobody = bound_endpoint(bound_socket(loopback4, SOCK_DGRAM).get());
  const Target target{Protocol::udp, nobody, {}};
  const auto near = (co_await dialer.dial(target)).value();
  co_await write_all(*near, "anyone?");
  std::byte buffer[16];
  const auto chunk = co_await near->read(buffer);
  REQUIRE(!chunk);
  CHECK(chunk.error().code == errno_code(ECONNREFUSED));
  co_await write_all(*near, "the connection lives on");
}

Task<> ping(Dialer& dialer, IpAddress address) {
  const Target target{Protocol::icmp, {address, 0}, {}};
  const auto near = co_await dialer.dial(target);
  if (!near) {
    CHECK(near.error().code == errno_code(EACCES));
    CHECK(near.error().message().find("net.ipv4.ping_group_range") != std::string::npos);
    WARN("this system forbids ping sockets: only the refusal is tested");
    co_return;
  }
  const char type = address.is_v4() ? 8 : -128;  // echo request: RFC 792; RFC 4443 4.1
  const std::string request{type, 0, 0, 0, 0x12, 0x34, 0, 7, 'd', 'a', 't', 'a'};
  co_await write_all(**near, request);
  std::array<std::byte, 64> buffer;
  const auto chunk = (co_await (*near)->read(buffer)).value();
  const auto reply = as_text(Bytes(buffer).first(chunk.size));
  REQUIRE(reply.size() == request.size());
  CHECK(reply[0] == (address.is_v4() ? 0 : -127));
  CHECK(reply.substr(6) == request.substr(6));
}

Task<> read_into(Connection& from, Result<Chunk>& chunk, Signal& done) {
  std::byte buffer[16];
  chunk = co_await from.read(buffer);
  done.raise();
}

Task<> reset_while_reading(Subject& subject, Loop& loop) {
  const auto target = subject.serve(Protocol::tcp, echo);
  const auto near = (co_await subject.dialer().dial(target)).value();
  Result<Chunk> chunk = Chunk{};
  Signal done(loop.executor());
  loop.beside.spawn(read_into(*near, chunk, done));
  for (int turn = 0; turn < 5; ++turn) co_await give_way();
  near->reset();
  co_await done.wait();
  REQUIRE(!chunk);
  CHECK(chunk.error().code == errno_code(ECONNABORTED));
  const auto written = co_await near->write(as_bytes("x"));
  CHECK(!written);
}

TEST_CASE("a direct tcp socket asks silent peers and sends at once", "[direct]") {
  Loop loop;
  Direct subject(loop);
  loop.run(options_are_set(subject));
}

TEST_CASE("a name is dialled at an address that was checked", "[direct]") {
  Loop loop;
  Direct subject(loop);
  DirectDialer dialer(loop.executor());
  std::vector<IpAddress> checked;
  SECTION("allowed") {
    AddressCheck permits = [&](const IpAddress& address) {
      checked.push_back(address);
      return true;
    };
    loop.run(dial_localhost(subject, dialer, std::move(permits), 0));
    CHECK(std::find(checked.begin(), checked.end(), loopback4) != checked.end());
  }
  SECTION("denied") {
    AddressCheck permits = [](const IpAddress& address) { return !address.is_loopback(); };
    loop.run(dial_localhost(subject, dialer, std::move(permits), EACCES));
  }
  SECTION("an address alone was judged by whoever named it") { loop.run(dial_by_address(subject, dialer)); }
}

TEST_CASE("a name without address is host unreachable", "[direct]") {
  Loop loop;
  DirectDialer dialer(loop.executor());
  loop.run(dial_impossible_name(dialer));
}

TEST_CASE("an unreachable udp port is an error, once", "[direct]") {
  Loop loop;
  DirectDialer dialer(loop.executor());
  loop.run(udp_refusal(dialer));
}

TEST_CASE("an echo request is answered over a ping socket, or the system's sysctl is named", "[direct]") {
  Loop loop;
  DirectDialer dialer(loop.executor());
  loop.run(ping(dialer, loopback4));
  loop.run(ping(dialer, loopback6));
}

TEST_CASE("resetting a connection ends its waiting read with an error", "[direct]") {
  Loop loop;
  Direct subject(loop);
  loop.run(reset_while_reading(subject, loop));
}

}  // namespace
}  // namespace nsrun::test
