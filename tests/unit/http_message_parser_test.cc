#include "host/http/message_parser.h"

#include <string>
#include <vector>
#include "tests/support/catch.h"

using namespace nsrun;

namespace {

const std::string answer_head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

// Gives the pieces one after the other, each behind what was not taken before it. What was taken; nothing: an
// error.
template <class Parser>
std::optional<std::string> taken(const std::vector<std::string>& pieces) {
  Parser parser;
  std::string waiting, all;
  for (const auto& piece : pieces) {
    waiting += piece;
    while (!waiting.empty() && !parser.is_done()) {
      const auto part = parser.take(waiting);
      if (!part) return std::nullopt;
      if (part->size == 0) break;
      all += waiting.substr(0, part->size);
      waiting.erase(0, part->size);
    }
  }
  return all;
}

}  // namespace

TEST_CASE("a chunked body may come in any pieces, its last chunk and trailer too") {
  for (const std::string tail : {"0\r\n\r\n", "00;a=b\r\n\r\n", "0\r\nX: y\r\n\r\n", "0;x\r\n\r\n"})
    for (const std::string body : {"", "5\r\nhello\r\n", "1;a=\"b\"\r\nx\r\n1\r\ny\r\n"}) {
      const std::string whole = answer_head + body + tail;
      CAPTURE(whole);
      for (std::size_t first = 0; first <= whole.size(); ++first)
        for (std::size_t second = first; second <= whole.size(); ++second) {
          const std::vector pieces = {whole.substr(0, first), whole.substr(first, second - first),
                                      whole.substr(second)};
          REQUIRE(taken<ResponseParser>(pieces) == whole);
        }
      std::vector<std::string> bytes;
      for (const char c : whole) bytes.emplace_back(1, c);
      CHECK(taken<ResponseParser>(bytes) == whole);
    }
}

TEST_CASE("a body's bytes are taken as they come, however few") {
  ResponseParser parser;
  REQUIRE(parser.take(answer_head + "5\r\n").value().size == answer_head.size());
  REQUIRE(parser.take("5\r\n").value().size == 3);
  for (const char* byte : {"h", "e", "l", "l", "o"}) CHECK(parser.take(byte).value().size == 1);
  CHECK(parser.take("\r").value().size == 0);
  CHECK(parser.take("\r\n0\r").value().size == 0);
  CHECK(parser.take("\r\n0\r\n\r\n").value().size == 7);
  CHECK(parser.is_done());
}

TEST_CASE("after its end or an error a parser takes nothing, and does not end the process") {
  RequestParser done;
  REQUIRE(done.take("GET / HTTP/1.1\r\n\r\n").value().size == 18);
  CHECK(done.take("GET / HTTP/1.1\r\n\r\n").has_error());
  CHECK(done.take("").has_error());
  RequestParser wrong;
  for (int i = 0; i < 3; ++i) CHECK(wrong.take("\x16\3\1").has_error());
  CHECK(wrong.take("GET / HTTP/1.1\r\n\r\n").has_error());
  ResponseParser broken;
  REQUIRE(broken.take(answer_head).has_value());
  CHECK(broken.take("x\r\n\r\n").has_error());
  CHECK(broken.take("5\r\nhello\r\n").has_error());
}

TEST_CASE("a trailer that is folded over two lines is an error") {
  for (const char* fold : {" ", "\t"}) {
    const std::string tail = std::string("0\r\nX: a\r\n") + fold + "b\r\n\r\n";
    CHECK_FALSE(taken<ResponseParser>({answer_head + tail}));
    CHECK_FALSE(taken<ResponseParser>({answer_head, tail.substr(0, 9), tail.substr(9)}));
    // The fold ends before the trailer does.
    const std::string more = std::string("0\r\nX: a\r\n") + fold + "b\r\nY: c\r\n\r\n";
    for (std::size_t at = 0; at <= more.size(); ++at)
      CHECK_FALSE(taken<ResponseParser>({answer_head, more.substr(0, at), more.substr(at)}));
  }
  CHECK(taken<ResponseParser>({answer_head + "3\r\n\n a\r\n0\r\n\r\n"}));
}

TEST_CASE("a head that comes byte by byte is judged as one that comes whole") {
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  for (std::size_t at = 0; at < head.size(); ++at)
    for (const char c : {'\0', '\n', '\x7f', '\r'}) {
      std::string odd = head;
      odd.insert(at, 1, c);
      std::vector<std::string> bytes;
      for (const char each : odd) bytes.emplace_back(1, each);
      CHECK(taken<RequestParser>(bytes) == taken<RequestParser>({odd}));
    }
}
