#include "host/http/head.h"

#include <chrono>
#include <ctime>
#include "tests/support/catch.h"

#include "host/http/absolute_target.h"

using namespace nsrun;

TEST_CASE("what of a head is not changed stays as it was written") {
  const std::string text = "GET / HTTP/1.1\r\nhOST:a\r\nX:  y \r\nEmpty:\r\n\r\n";
  CHECK(HttpHead(text).to_string() == text);
  HttpHead head(text);
  head.set("Host", "b");
  head.remove("x");
  head.add("Via", "1.1 c");
  CHECK(head.to_string() == "GET / HTTP/1.1\r\nHost: b\r\nEmpty:\r\nVia: 1.1 c\r\n\r\n");
  head.set("First", "1");
  CHECK(head.to_string().starts_with("GET / HTTP/1.1\r\nFirst: 1\r\nHost: b\r\n"));
}

TEST_CASE("a field that was folded over several lines is written as one") {
  const HttpHead head("HTTP/1.1 200 OK\r\nX: a\r\n b \r\n\t c\r\nY: d\r\n \r\nZ: e\r\n\r\n");
  CHECK(head.to_string() == "HTTP/1.1 200 OK\r\nX: a b c\r\nY: d \r\nZ: e\r\n\r\n");
  CHECK(head.values("X") == std::vector<std::string>{"a b c"});
}

TEST_CASE("what is of one hop costs in proportion to the head, however much Connection names") {
  // Processor time of the thread, the least of some tries; ten times the head may not take fifty times as
  // long.
  const auto time_for = [](std::size_t names) {
    std::string text = "GET / HTTP/1.1\r\nConnection: a";
    for (std::size_t i = 0; i < names; ++i) text += ",x" + std::to_string(i);
    for (std::size_t i = 0; i < names; ++i) text += "\r\ny" + std::to_string(i) + ":";
    text += "\r\n\r\n";
    std::chrono::nanoseconds least = std::chrono::nanoseconds::max();
    for (int tries = 0; tries < 5; ++tries) {
      HttpHead head(text);
      const auto now = [] {
        timespec time{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
        return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
      };
      const auto before = now();
      head.remove_hop_by_hop();
      least = std::min(least, std::chrono::nanoseconds(now() - before));
    }
    return least;
  };
  CHECK(time_for(5'000) < 50 * time_for(500));
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
