#include "tests/support/catch.h"

#include "host/dialers/http_connect.h"

namespace nsrun::http_connect {
namespace {

Target at(const char* endpoint) { return {Protocol::tcp, *Endpoint::parse(endpoint), {}}; }
Target named(std::string name) { return {Protocol::tcp, {{}, 443}, std::move(name)}; }

// What is read of `stream` when every read gives all it may.
std::string read_head(std::string_view stream) {
  std::string head;
  while (const auto step = bytes_to_read(head)) {
    if (head.size() + step > stream.size()) return "(cut)";
    head += stream.substr(head.size(), step);
  }
  return head;
}

TEST_CASE("a CONNECT request names its target twice") {
  CHECK(request(at("192.0.2.1:80"), {}).value() ==
        "CONNECT 192.0.2.1:80 HTTP/1.1\r\nHost: 192.0.2.1:80\r\n\r\n");
  CHECK(request(at("[2001:db8::1]:80"), {}).value() ==
        "CONNECT [2001:db8::1]:80 HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n");
  CHECK(request(named("example.org"), {}).value() ==
        "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n");
}

TEST_CASE("a CONNECT request logs in by HTTP Basic") {
  const auto head = request(named("example.org"), Credentials{"Aladdin", "open sesame"}).value();
  CHECK(head.find("\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n") != head.npos);
  CHECK(!request(named("example.org"), Credentials{"a:b", "c"}));
}

TEST_CASE("a name cannot smuggle a line into a CONNECT request") {
  CHECK(!request(named("example.org\r\nX: y"), {}));
  CHECK(!request(named("example.org HTTP/1.1"), {}));
}

TEST_CASE("a head is read to its end and not a byte further") {
  for (const std::string head : {
           "HTTP/1.1 200\r\n\r\n",
           "HTTP/1.1 200 Connection established\r\n\r\n",
           "HTTP/1.0 200 OK\r\nVia: x\r\nX-Long: yyyyyyyyyyyyyyy\r\n\r\n",
           "HTTP/1.1 200 OK\n\n",
           "HTTP/1.1 200 OK\r\nX: y\n\r\n",
           "HTTP/1.1 200 OK\nX: y\n\n",
           "HTTP/1.1 200\n\n",
       }) {
    CHECK(read_head(head) == head);
    CHECK(read_head(head + "\r\n\r\n") == head);
    CHECK(read_head(head + "SSH-2.0-server\r\n") == head);
  }
  CHECK(read_head("HTTP/1.1 200 OK\r\nX: y\r\n") == "(cut)");
}

TEST_CASE("a response's status is understood, or it is no HTTP") {
  CHECK(parse_head("HTTP/1.1 200 Connection established\r\n\r\n").value().status == 200);
  CHECK(parse_head("HTTP/1.0 407\r\n\r\n").value().status == 407);
  CHECK(parse_head("HTTP/1.1 503 Out \x1b[31mof order\r\n\r\n").value().reason == "Out [31mof order");
  for (const char* bad :
       {"", "\r\n\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 20\r\n\r\n", "HTTP/1.1 2000\r\n\r\n",
        "HTTP/1.1  200\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "220 ready\r\n\r\n", "HTTP/1.1 600 x\r\n"})
    CHECK(!parse_head(bad));
}

TEST_CASE("an HTTP refusal says what a direct connect would have said") {
  CHECK(refusal({403, "Forbidden"}).code == errno_code(EACCES));
  CHECK(refusal({401, ""}).code == errno_code(EACCES));
  CHECK(refusal({407, ""}).code == errno_code(EACCES));
  CHECK(refusal({502, "Bad Gateway"}).code == errno_code(EHOSTUNREACH));
  CHECK(refusal({503, ""}).code == errno_code(EHOSTUNREACH));
  CHECK(refusal({504, ""}).code == errno_code(ETIMEDOUT));
  CHECK(refusal({400, ""}).code == errno_code(ECONNREFUSED));
  CHECK(refusal({302, ""}).code == errno_code(ECONNREFUSED));
  CHECK(refusal({403, "Forbidden"}).doing.find("403 Forbidden") != std::string::npos);
}

}  // namespace
}  // namespace nsrun::http_connect
