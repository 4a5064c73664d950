#include "host/services/wake/backends/http_call.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include "tests/support/catch.h"

#include "host/flow/socket_connection.h"
#include "tests/support/service_world.h"

//   http_call, http_lines ──► OneSocket ◄── the test, as a server that decides which bytes come at once

using namespace nsrun;
using namespace nsrun::test;

namespace {

class OneSocket final : public Dialer {
 public:
  explicit OneSocket(Executor executor) : executor_(executor) {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
    near_ = UniqueFd(ends[0]);
    server = UniqueFd(ends[1]);
  }
  Task<Result<std::unique_ptr<Connection>>> dial(const Target&) override {
    co_return std::make_unique<SocketConnection>(executor_, std::move(near_));
  }
  // Each piece is written once the one before it was read.
  Task<> serve(std::vector<std::string> pieces) {
    for (const auto& piece : pieces) {
      REQUIRE(::send(server.get(), piece.data(), piece.size(), MSG_NOSIGNAL) > 0);
      co_await until([this] {
        int unread = 0;
        return ::ioctl(server.get(), SIOCOUTQ, &unread) == 0 && unread == 0;
      });
    }
    // Closed with the request unread, a socket is reset.
    std::array<char, 4096> request{};
    while (::recv(server.get(), request.data(), request.size(), 0) > 0) continue;
    server.reset();
  }

  UniqueFd server;

 private:
  Executor executor_;
  UniqueFd near_;
};

const Target nowhere{};

HttpCall call_by(Dialer& dialer) {
  return {dialer, nowhere, "the daemon", "localhost", "GET", "/", "cannot ask"};
}

// The body, or how the call failed.
std::string answered_call(const std::vector<std::string>& pieces) {
  Loop loop;
  OneSocket dialer(loop.executor());
  std::string seen;
  const auto body = [](Loop& in, OneSocket& by, std::vector<std::string> said, std::string& got) -> Task<> {
    in.beside.spawn(by.serve(std::move(said)));
    const auto answer = co_await http_call(call_by(by), 30s);
    got = answer ? answer->body : answer.error().message();
  };
  loop.run(body(loop, dialer, pieces, seen));
  return seen;
}

const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

}  // namespace

TEST_CASE("a last chunk in pieces is the end of an answer, and not of the process") {
  CHECK(answered_call({chunked, "0\r\n", "\r", "\n"}).empty());
  CHECK(answered_call({chunked + "0\r\n", "\r", "\n"}).empty());
  CHECK(answered_call({chunked, "5\r", "\nhel", "l", "o\r\n0\r", "\n\r\n"}) == "hello");
}

TEST_CASE("an answer's body is what its length, or its end, says") {
  CHECK(answered_call({"HTTP/1.1 200 OK\r\nContent-Le", "ngth: 5\r\n\r\nhel", "lo"}) == "hello");
  CHECK(answered_call({"HTTP/1.0 200 OK\r\n\r\n", "as long", " as it lasts"}) == "as long as it lasts");
  CHECK_THAT(answered_call({"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"}),
             Catch::Contains("cannot ask"));
  CHECK_THAT(answered_call({chunked + "5\r\nhello\r\n"}), Catch::Contains("cannot ask"));
  CHECK_THAT(answered_call({"no HTTP\r\n\r\n"}), Catch::Contains("cannot ask"));
}

TEST_CASE("lines are given as they come, and a daemon that ends is said") {
  Loop loop;
  OneSocket dialer(loop.executor());
  std::vector<std::string> lines;
  const auto body = [](Loop& in, OneSocket& by, std::vector<std::string>& got) -> Task<> {
    in.beside.spawn(
        by.serve({chunked, "4\r\none\n\r\n", "3\r\ntwo\r\n", "1\r\n\n\r\n", "0\r\n", "\r", "\n"}));
    const auto why = co_await http_lines(
        call_by(by), [] {}, [&](std::string_view line) { got.emplace_back(line); });
    CHECK_THAT(why.message(), Catch::Contains("has ended"));
  };
  loop.run(body(loop, dialer, lines));
  CHECK(lines == std::vector<std::string>{"one", "two"});
}
