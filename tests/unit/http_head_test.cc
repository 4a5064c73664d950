#include "host/http/head.h"

#include <catch2/catch.hpp>

#include "host/http/absolute_target.h"

using namespace nsrun;

TEST_CASE("what of a head is not changed stays as it was written") {
  const std::string text = "GET / HTTP/1.1\r\nhOST:a\r\nX:  y \r\n folded\r\nEmpty:\r\n\r\n";
  CHECK(HttpHead(text).to_string() == text);
  HttpHead head(text);
  head.set("Host", "b");
  head.remove("x");
  head.add("Via", "1.1 c");
  CHECK(head.to_string() == "GET / HTTP/1.1\r\nHost: b\r\nEmpty:\r\nVia: 1.1 c\r\n\r\n");
  head.set("First", "1");
  CHECK(head.to_string().starts_with("GET / HTTP/1.1\r\nFirst: 1\r\nHost: b\r\n"));
}

TEST_CASE("fields are found in any case, and lists taken apart") {
  const HttpHead head("HTTP/1.1 200 OK\r\nA: x\r\na: y , Z,,\r\nB:\r\n\r\n");
  CHECK(head.values("A") == std::vector<std::string>{"x", "y , Z,,"});
  CHECK(head.tokens("A") == std::vector<std::string>{"x", "y", "Z"});
  CHECK(head.has_token("a", "z"));
  CHECK(head.has("b"));
  CHECK_FALSE(head.has("c"));
}

TEST_CASE("what is of one hop goes, with all that Connection names but how the body is framed") {
  HttpHead head(
      "GET / HTTP/1.1\r\nConnection: close, X-Mine, content-length\r\nX-Mine: 1\r\nContent-Length: 1\r\n"
      "TE: trailers\r\nProxy-Authorization: x\r\nX: y\r\n\r\n");
  head.remove_hop_by_hop();
  CHECK(head.to_string() == "GET / HTTP/1.1\r\nContent-Length: 1\r\nX: y\r\n\r\n");
}

TEST_CASE("an absolute target is cut into its parts") {
  const auto target = AbsoluteTarget::parse("HTTP://user@[2001:db8::1]:80/a?b://c");
  REQUIRE(target);
  CHECK(target->scheme == "HTTP");
  CHECK(target->authority == "[2001:db8::1]:80");
  CHECK(target->rest == "/a?b://c");
  CHECK(target->has_user);
  CHECK(AbsoluteTarget::parse("http://a?b")->rest == "?b");
  for (const auto* none : {"/a", "http:/a", "://a", "1http://a", "http://a#b", "http://a b", "http://a\\b",
                           "h:\xaf", "http://\xaf"})
    CHECK_FALSE(AbsoluteTarget::parse(none));
}
