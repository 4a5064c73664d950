#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include "tests/support/catch.h"

#include "host/http/growing_body.h"

using namespace nsrun;

TEST_CASE("a body takes the memory of the bytes that came, not of those that are claimed") {
  namespace http = boost::beast::http;
  http::response_parser<GrowingBody> parser;
  parser.body_limit(boost::none);
  parser.eager(true);
  boost::system::error_code why;
  const std::string text = "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nsome";
  std::size_t taken = 0;
  while (taken < text.size() && !why) taken += parser.put(boost::asio::buffer(text.substr(taken)), why);
  CHECK((!why || why == http::error::need_more));
  CHECK(parser.get().body() == "some");
  CHECK(parser.get().body().capacity() < 1024);
}
