#include "host/inspect/http_requests.h"

#include <catch2/catch.hpp>

using namespace nsrun;

namespace {

// What of a text may go on; nothing: it does not agree.
std::optional<std::size_t> agreed(const std::string& text, const std::string& host = "good.example") {
  HttpRequests requests(host, 80);
  const auto size = requests.agreed(as_bytes(text));
  return size ? std::optional(*size) : std::nullopt;
}

bool passes(const std::string& text, const std::string& host = "good.example") {
  return agreed(text, host) == text.size();
}

bool refused(const std::string& text) { return !agreed(text); }

const std::string get = "GET / HTTP/1.1\r\nHost: good.example\r\n\r\n";
const std::string post = "POST / HTTP/1.1\r\nHost: good.example\r\n";

}  // namespace

TEST_CASE("requests for the host agree, one after the other, with bodies and without") {
  CHECK(passes(get + get));
  CHECK(passes(post + "Content-Length: 5\r\n\r\nhello" + get));
  CHECK(passes(post + "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nTrailer: x\r\n\r\n" + get));
  CHECK(passes("GET / HTTP/1.0\r\nhost:GOOD.example.:80\r\n\r\n"));
  CHECK(passes("GET http://good.example/x HTTP/1.1\r\nHost: good.example\r\n\r\n"));
  CHECK(passes("OPTIONS * HTTP/1.1\r\nHost: good.example\r\n\r\n"));
  CHECK(passes("GET / HTTP/1.1\r\nHost: [2001:DB8::0:1]:80\r\n\r\n", "2001:db8::1"));
}

TEST_CASE("a request goes on when its head is whole, and its body as it comes") {
  HttpRequests requests("good.example", 80);
  const std::string head = post + "Content-Length: 5\r\n\r\n";
  for (std::size_t size = 0; size < head.size(); ++size)
    REQUIRE(requests.agreed(as_bytes(head.substr(0, size))).value() == 0);
  CHECK(requests.agreed(as_bytes(head + "he")).value() == head.size() + 2);
  CHECK(requests.agreed(as_bytes("llo")).value() == 3);
  CHECK(requests.agreed(as_bytes("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")).has_error());
}

TEST_CASE("a request for another host, port or none does not agree, first or later") {
  const auto with = [](const std::string& line) { return "GET / HTTP/1.1\r\n" + line + "\r\n\r\n"; };
  CHECK(refused(with("Host: evil.example")));
  CHECK(refused(get + with("Host: evil.example")));
  CHECK(refused(with("Host: good.example:8080")));
  CHECK(refused(with("Host: good.example:x")));
  CHECK(refused(with("Host: good.example@evil.example")));
  CHECK(refused(with("Host: good.example, evil.example")));
  CHECK(refused(with("Host:")));
  CHECK(refused(with("Accept: */*")));
  CHECK(refused("GET / HTTP/1.0\r\n\r\n"));
  CHECK(refused("GET http://evil.example/ HTTP/1.1\r\nHost: good.example\r\n\r\n"));
  CHECK(refused("GET http://good.example@evil.example/ HTTP/1.1\r\nHost: good.example\r\n\r\n"));
  CHECK(refused("GET //evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n"));
  CHECK(refused("GET evil.example:80 HTTP/1.1\r\nHost: good.example\r\n\r\n"));
  CHECK(refused("GET good.example:\xaf HTTP/1.1\r\nHost: good.example\r\n\r\n"));
  CHECK(refused("GET http://good.example:80\\@evil.example/ HTTP/1.1\r\nHost: good.example\r\n\r\n"));
}

TEST_CASE("what two readers could understand differently does not agree") {
  CHECK(refused("GET / HTTP/1.1\r\nHost: good.example\r\nHost: good.example\r\n\r\n"));
  CHECK(refused("GET / HTTP/1.1\r\nX: y\r\n Host: evil.example\r\nHost: good.example\r\n\r\n"));
  CHECK(refused("GET / HTTP/1.1\r\nHost : good.example\r\n\r\n"));
  CHECK(refused("GET / HTTP/1.1\nHost: evil.example\n\nx\r\n\r\n"));
  CHECK(refused("GET / HTTP/1.1\r\nHost: good.example\rX: y\r\n\r\n"));
  CHECK(refused(std::string("GET / HTTP/1.1\r\nHost: good.example\0\r\n\r\n", 40)));
  CHECK(refused(post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
  CHECK(refused(post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"));
  CHECK(refused(post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"));
  CHECK(refused(post + "Content-Length: +5\r\n\r\nhello"));
  CHECK(refused(post + "Transfer-Encoding: xchunked\r\n\r\n"));
  CHECK(refused(post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"));
  CHECK(refused(post + "Transfer-Encoding: chunked\r\n\r\n0\r\nHost: evil.example\r\n\r\n"));
  CHECK(refused(post + "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n"));
  // Some take a bare LF for the end of a chunk's line.
  const std::string chunks = post + "Transfer-Encoding: chunked\r\n\r\n";
  CHECK(refused(chunks + "2;\nxx\r\n0\r\n\r\n"));
  CHECK(refused(chunks + "2;a=\"\n\"\r\nxx\r\n0\r\n\r\n"));
  CHECK(refused(chunks + "2;a=\"\\\n\"\r\nxx\r\n0\r\n\r\n"));
  CHECK(refused(chunks + "2\nxx\r\n0\r\n\r\n"));
  CHECK(refused(chunks + "2 \r\nxx\r\n0\r\n\r\n"));
  CHECK(refused(chunks + "0x2\r\nxx\r\n0\r\n\r\n"));
  CHECK(refused(chunks + "2\r\nxxx\n0\r\n\r\n"));
  CHECK(refused(chunks + "10000000000000002\r\nxx\r\n0\r\n\r\n"));
  CHECK(refused(chunks + "0\r\nX: a\nHost: evil.example\r\n\r\n"));
  CHECK(refused(chunks + "0\r\n Host: evil.example\r\n\r\n"));
  CHECK(refused("GET / HTTP/1.1\r\nHost: good.example\r\nContent-Length: 5, 5\r\n\r\nhello"));
  CHECK(
      refused("GET / HTTP/1.1\r\nHost: good.example\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
              "chunked\r\n\r\n0\r\n\r\n"));
  CHECK(refused("GET / HTTP/1.1\r\nHost: good.example\r\nTransfer-Encoding:\r\n\r\n"));
  CHECK(refused("GET / HTTP/1.1\r\nHost: good.example\r\nTransfer\x0b-Encoding: chunked\r\n\r\n"));
  CHECK(refused("GET / HTTP/1.1\r\nHost: good.example\r\nTransfer_Encoding : chunked\r\n\r\n"));
  CHECK(refused("\r\nGET / HTTP/1.1\r\nHost: good.example\r\n\r\n"));
  // RFC 9112 6.1: the one reads chunks, the other knows of none and takes what follows for the next request.
  CHECK(refused("POST / HTTP/1.0\r\nHost: good.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
}

TEST_CASE("what ends HTTP on the connection, or never began it, does not agree") {
  CHECK(refused("CONNECT good.example:80 HTTP/1.1\r\nHost: good.example\r\n\r\n"));
  CHECK(refused("GET / HTTP/1.1\r\nHost: good.example\r\nUpgrade: websocket\r\n\r\n"));
  CHECK(refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
  CHECK(refused("\x16\3\1\r\n\r\n"));
  CHECK(refused("GET / HTTP/1.1\r\nHost: good.example\r\nX: " + std::string(70'000, 'x')));
}
