#include "host/carry/http_requests.h"

#include "tests/support/catch.h"

using namespace nsrun;

namespace {

// What of a text may go on; nothing: it does not agree.
std::optional<std::size_t> agreed(const std::string& text, const std::string& host = "good.example") {
  HttpRequests requests(host, 80);
  const auto size = requests.agreed(as_bytes(text));
  return size ? std::optional(*size) : std::nullopt;
}

bool request_passes(const std::string& text, const std::string& host = "good.example") {
  return agreed(text, host) == text.size();
}

bool refused(const std::string& text) { return !agreed(text); }

const std::string get = "GET / HTTP/1.1\r\nHost: good.example\r\n\r\n";
const std::string post = "POST / HTTP/1.1\r\nHost: good.example\r\n";

}  // namespace

TEST_CASE("requests for the host agree, one after the other, with bodies and without") {
  CHECK(request_passes(get + get));
  CHECK(request_passes(post + "Content-Length: 5\r\n\r\nhello" + get));
  CHECK(request_passes(post + "Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nTrailer: x\r\n\r\n" +
                       get));
  CHECK(request_passes("GET / HTTP/1.0\r\nhost:GOOD.example.:80\r\n\r\n"));
  CHECK(request_passes("GET http://good.example/x HTTP/1.1\r\nHost: good.example\r\n\r\n"));
  CHECK(request_passes("OPTIONS * HTTP/1.1\r\nHost: good.example\r\n\r\n"));
  CHECK(request_passes("GET / HTTP/1.1\r\nHost: [2001:DB8::0:1]:80\r\n\r\n", "2001:db8::1"));
}

TEST_CASE("a request goes on when its head is whole, and its body as it comes") {
  HttpRequests requests("good.example", 80);
  const std::string head = post + "Content-Length: 5\r\n\r\n";
  for (std::size_t size = 0; size < head.size(); ++size)
    REQUIRE(requests.agreed(as_bytes(head.substr(0, size))).value() == 0);
  CHECK(requests.agreed(as_bytes(head + "{\"")).value() == head.size() + 2);
  CHECK(requests.agreed(as_bytes("a\"}")).value() == 3);
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

TEST_CASE("a body that a server which does not read it would take for a request does not agree") {
  const std::string request = "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n";
  const auto with = [](const std::string& line, const std::string& body, const std::string& more = "") {
    return line + " / HTTP/1.1\r\nHost: good.example\r\n" + more +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  };
  for (const char* method : {"GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "POST", "PUT", "ODD"}) {
    CHECK(refused(with(method, request)));
    CHECK(refused(with(method, request, "Expect: 100-continue\r\n")));
    CHECK(request_passes(with(method, "{\"query\": \"GET / HTTP/1.1\"}") + get));
    CHECK(request_passes(with(method, "GET") + get));
    CHECK(request_passes(with(method, "", "Expect: 100-continue\r\n") + get));
  }
  CHECK(refused("GET / HTTP/1.1\r\nHost: good.example\r\nTransfer-Encoding: chunked\r\n\r\n26\r\n" + request +
                "\r\n0\r\n\r\n"));
  CHECK(refused("GET / HTTP/1.1\r\nHost: good.example\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nG\r\n25\r\n" +
                request.substr(1) + "\r\n0\r\n\r\n"));
  // As lenient servers read them.
  for (const char* odd : {"\r\n\n GET\t/ HTTP/1.1\r\n", "ODD /a b HTTP/1.0\n", "get  *   http/1.1",
                          "GET / RTSP/1.0", "SOURCE / ICE/1.0", "PRI * HTTP/2.0\r\n"})
    CHECK(refused(with("GET", odd)));
  // What no server takes for one.
  for (const char* body :
       {"a=b&c=d HTTP/1.1", "--boundary\r\nGET / HTTP/1.1\r\n", "<a> / HTTP/1.1", "GET /\r\n",
        "GET HTTP/1.1\r\n", "GET / \nHTTP/1.1", "\x01GET / HTTP/1.1", "Dear reader,\nread / HTTP/1"})
    CHECK(request_passes(with("POST", body) + get));
  CHECK(request_passes(with("POST", std::string(200'000, 'x') + " / HTTP/1.1") + get));
}

TEST_CASE("a body is held back while it may be a request, and goes on from there") {
  HttpRequests requests("good.example", 80);
  const std::string head = post + "Content-Length: 20\r\n\r\n";
  CHECK(requests.agreed(as_bytes(head + "GET / HT")).value() == head.size());
  CHECK(requests.agreed(as_bytes("GET / HTT")).value() == 0);
  CHECK(requests.agreed(as_bytes("GET / HTTX")).value() == 0);
  CHECK(requests.agreed(as_bytes("GET / HTTX\nmore")).value() == 15);
  CHECK(requests.agreed(as_bytes("GET /" + get)).value() == 5 + get.size());
  HttpRequests other("good.example", 80);
  CHECK(other.agreed(as_bytes(head + "GET / HTTP")).value() == head.size());
  CHECK(other.agreed(as_bytes("GET / HTTP/")).has_error());
}

TEST_CASE("fields that the next reader would drop, or take for others, do not agree") {
  const auto with = [](const std::string& line) {
    return "GET / HTTP/1.1\r\nHost: good.example\r\n" + line + "\r\n\r\n";
  };
  for (const char* line :
       {"Connection: Host", "Connection: keep-alive, host", "Proxy-Connection: HOST",
        "Connection: close\r\nConnection: Content-Length", "Connection: transfer-encoding",
        "Transfer_Encoding: chunked", "content_length: 5", "Content-Length: 00", "Content-Length: 010"})
    CHECK(refused(with(line)));
  CHECK(refused(post + "Transfer-Encoding: chunked\r\n\r\n0\r\nX: a\r\n Host: evil.example\r\n\r\n"));
  for (const char* line :
       {"Connection: keep-alive", "Connection: close, X-Host", "X-Host: a", "Content-Length: 0"})
    CHECK(request_passes(with(line)));
}

TEST_CASE("a target is of http, and brackets are an IPv6 address's") {
  const auto to = [](const std::string& target) {
    return "GET " + target + " HTTP/1.1\r\nHost: good.example\r\n\r\n";
  };
  for (const char* target : {"ftp://good.example/", "https://good.example/", "ws://good.example/",
                             "http://[good.example]/", "http://good.example:/"})
    CHECK(refused(to(target)));
  CHECK(request_passes(to("HTTP://good.example:80/")));
  const auto host = [](const std::string& value) { return "GET / HTTP/1.1\r\nHost: " + value + "\r\n\r\n"; };
  for (const char* value :
       {"[good.example]", "[good.example]:80", "good.example]", "[good.example", "good.example:"})
    CHECK(refused(host(value)));
  const auto agrees = [&](const std::string& value, const std::string& address) {
    HttpRequests requests(address, 80);
    return requests.agreed(as_bytes(host(value))).has_value();
  };
  CHECK(agrees("192.0.2.1", "192.0.2.1"));
  CHECK_FALSE(agrees("[192.0.2.1]", "192.0.2.1"));
  CHECK(agrees("[2001:db8::1]", "2001:db8::1"));
  CHECK_FALSE(agrees("2001:db8::1", "2001:db8::1"));
}

TEST_CASE("what ends HTTP on the connection, or never began it, does not agree") {
  CHECK(refused("CONNECT good.example:80 HTTP/1.1\r\nHost: good.example\r\n\r\n"));
  CHECK(refused("GET / HTTP/1.1\r\nHost: good.example\r\nUpgrade: websocket\r\n\r\n"));
  CHECK(refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
  CHECK(refused("\x16\3\1\r\n\r\n"));
  CHECK(refused("GET / HTTP/1.1\r\nHost: good.example\r\nX: " + std::string(70'000, 'x')));
}
