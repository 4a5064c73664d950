#include "testing/http_tap.h"

#include "tests/support/catch.h"

namespace nsrun::testing {
namespace {

const std::string get = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string head = "HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string post = "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const std::string ok_head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
const std::string chunked =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
const std::string interim = "HTTP/1.1 100 Continue\r\n\r\n";
const std::string until_end = "HTTP/1.0 200 OK\r\n\r\nas long as it lasts";

TEST_CASE("a tap tells requests and answers apart, however they are cut", "[http_tap]") {
  const std::string up = get + post + head + get;
  const std::string down = ok + interim + chunked + ok_head + until_end;
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
    HttpTap tap;
    for (std::size_t at = 0; at < up.size(); at += step) tap.up(std::string_view(up).substr(at, step));
    for (std::size_t at = 0; at < down.size(); at += step) tap.down(std::string_view(down).substr(at, step));
    tap.down_ended();
    REQUIRE(tap.is_http());
    const auto exchanges = tap.take_exchanges();
    REQUIRE(exchanges.size() == 4);
    CHECK((exchanges[0].request == get && exchanges[0].response == ok && !exchanges[0].closes));
    CHECK((exchanges[1].request == post && exchanges[1].response == chunked));
    CHECK((exchanges[2].request == head && exchanges[2].response == ok_head));
    CHECK((exchanges[3].response == until_end && exchanges[3].closes));
  }
}

TEST_CASE("a body that is nothing but its last chunk may come byte by byte", "[http_tap]") {
  const std::string empty = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
  HttpTap tap;
  tap.up(get);
  for (std::size_t at = 0; at < empty.size(); ++at) tap.down(std::string_view(empty).substr(at, 1));
  REQUIRE(tap.is_http());
  const auto exchanges = tap.take_exchanges();
  REQUIRE(exchanges.size() == 1);
  CHECK(exchanges[0].response == empty);
}

TEST_CASE("an answer that was cut off is not recorded as one", "[http_tap]") {
  HttpTap tap;
  tap.up(get);
  tap.down(std::string_view(ok).substr(0, ok.size() - 1));
  tap.down_ended();
  CHECK(tap.take_exchanges().empty());
}

TEST_CASE("what is not HTTP, or stops being it, is not taken for it", "[http_tap]") {
  HttpTap greeting, upgraded, tunnel, unasked;
  greeting.down("220 hello\r\n");
  CHECK_FALSE(greeting.is_http());
  upgraded.up("GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
  upgraded.down("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
  CHECK_FALSE(upgraded.is_http());
  tunnel.up("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n");
  CHECK_FALSE(tunnel.is_http());
  unasked.down(ok);
  CHECK_FALSE(unasked.is_http());
}

}  // namespace
}  // namespace nsrun::testing
