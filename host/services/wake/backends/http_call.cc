#include "host/services/wake/backends/http_call.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

#include "host/flow/keepalive.h"
#include "host/http/beast_feed.h"
#include "host/http/growing_body.h"
#include "runtime/cancellation.h"

namespace nsrun {
namespace {

namespace http = boost::beast::http;
using Stream = asio::basic_stream_socket<asio::generic::stream_protocol, Executor>;
using AnswerParser = http::response_parser<GrowingBody>;

constexpr std::size_t max_answer = 8 << 20, max_header = 64 << 10, max_line = 1 << 20;  // bytes
constexpr std::size_t max_call_buffer = 2 * max_header;
constexpr std::size_t read_size = max_header;  // bytes at once

Error failed(const HttpCall& call, boost::system::error_code code) {
  return {call.doing + " of " + call.where, code};
}

// A machine that vanishes is noticed within a minute, also while we wait for its events.
constexpr KeepAlive while_calling{.idle = 30, .interval = 10, .count = 3};

// The request is sent.
Task<Result<void>> ask(Stream& stream, const HttpCall& call) {
  auto far = co_await call.dialer.dial(call.target);
  if (!far) co_return Error{cannot_reach(call.where), far.error().code, far.error().advice};
  UniqueFd socket = (*far)->release_socket();
  if (!socket) co_return Error{cannot_reach(call.where) + " by this kind of endpoint"};
  boost::system::error_code trouble;
  SocketAddress own;
  ::getsockname(socket.get(), own.get(), &own.length);
  set_keepalive(socket.get(), while_calling);
  stream.assign(asio::generic::stream_protocol(own.family(), 0), socket.get(), trouble);
  if (trouble) co_return failed(call, trouble);
  socket.release();
  http::request<http::empty_body> request;
  request.method_string(call.verb);
  request.target(call.path);
  request.version(11);
  request.set(http::field::host, call.host);
  request.set(http::field::connection, "close");
  if (call.verb == "POST") request.set(http::field::content_length, "0");
  const auto [error, size] = co_await http::async_write(stream, request, use_result);
  if (error) co_return failed(call, error);
  co_return Result<void>();
}

// More of an answer, once there is some; or why there is none. By BeastFeed, and not http::async_read, in
// which an answer can fail an assertion.
Task<boost::system::error_code> read_more(Stream& stream, boost::beast::flat_buffer& buffer,
                                          AnswerParser& parser, BeastFeed& feed) {
  boost::system::error_code why;
  for (;;) {
    const auto waiting = buffer.cdata();
    if (waiting.size() > 0) {
      const auto taken = feed.put(parser, {static_cast<const char*>(waiting.data()), waiting.size()}, why);
      buffer.consume(taken);
      if (why && why != http::error::need_more) co_return why;
      if (taken > 0) co_return boost::system::error_code{};
    }
    const auto room = std::min(read_size, buffer.max_size() - buffer.size());
    if (room == 0) co_return http::error::buffer_overflow;
    const auto [error, size] = co_await stream.async_read_some(buffer.prepare(room), use_result);
    unwind_if_cancelled(co_await asio::this_coro::cancellation_state);
    if (error && error != asio::error::eof) co_return error;
    buffer.commit(size);
    if (!error) continue;
    if (!parser.got_some()) co_return http::error::end_of_stream;
    parser.put_eof(why);
    co_return why;
  }
}

Task<Result<HttpAnswer>> call_to_the_end(const HttpCall& call) {
  Stream stream(co_await asio::this_coro::executor);
  const auto asked = co_await ask(stream, call);
  unwind_if_cancelled(co_await asio::this_coro::cancellation_state);
  if (!asked) co_return asked.error();
  boost::beast::flat_buffer buffer(max_call_buffer);
  AnswerParser parser;
  parser.header_limit(max_header);
  parser.body_limit(max_answer);
  BeastFeed feed;
  while (!parser.is_done()) {
    const auto error = co_await read_more(stream, buffer, parser, feed);
    if (error) co_return failed(call, error);
  }
  co_return HttpAnswer{parser.get().result_int(), std::move(parser.get().body())};
}

// The header; what follows it is the parser's to read, without a limit.
Task<Result<unsigned>> read_header(Stream& stream, boost::beast::flat_buffer& buffer, AnswerParser& parser,
                                   const HttpCall& call) {
  const auto asked = co_await ask(stream, call);
  unwind_if_cancelled(co_await asio::this_coro::cancellation_state);
  if (!asked) co_return asked.error();
  parser.header_limit(max_header);
  parser.body_limit(boost::none);
  const auto [error, size] = co_await http::async_read_header(stream, buffer, parser, use_result);
  unwind_if_cancelled(co_await asio::this_coro::cancellation_state);
  if (error) co_return failed(call, error);
  co_return parser.get().result_int();
}

Task<Result<unsigned>> call_for_status(const HttpCall& call) {
  Stream stream(co_await asio::this_coro::executor);
  boost::beast::flat_buffer buffer(max_call_buffer);
  AnswerParser parser;
  co_return co_await read_header(stream, buffer, parser, call);
}

// Takes the whole lines out of the text.
void take_lines(std::string& text, const std::function<void(std::string_view)>& take) {
  std::size_t begin = 0;
  for (auto end = text.find('\n'); end != text.npos; end = text.find('\n', begin)) {
    if (end > begin) take(std::string_view(text).substr(begin, end - begin));
    begin = end + 1;
  }
  text.erase(0, begin);
}

}  // namespace

std::string cannot_reach(const std::string& where) { return "cannot reach " + where; }

Task<Result<HttpAnswer>> http_call(HttpCall call, Clock::duration limit) {
  auto answer = co_await within(limit, call_to_the_end(call));
  if (answer) co_return std::move(*answer);
  co_return failed(call, errno_code(ETIMEDOUT));
}

Task<Result<unsigned>> http_status(HttpCall call, Clock::duration limit) {
  const auto status = co_await within(limit, call_for_status(call));
  if (status) co_return *status;
  co_return failed(call, errno_code(ETIMEDOUT));
}

Task<Error> http_lines(HttpCall call, std::function<void()> begun,
                       std::function<void(std::string_view)> take) {
  Stream stream(co_await asio::this_coro::executor);
  boost::beast::flat_buffer buffer(max_call_buffer);
  AnswerParser parser;
  const auto status = co_await read_header(stream, buffer, parser, call);
  if (!status) co_return status.error();
  if (*status != 200) co_return Error{failed(call, {}).doing + ": it answers " + std::to_string(*status)};
  begun();
  std::string& text = parser.get().body();  // the parser appends, and counts what it appended itself
  BeastFeed feed;
  while (!parser.is_done() && text.size() < max_line) {
    const auto trouble = co_await read_more(stream, buffer, parser, feed);
    if (trouble) co_return failed(call, trouble);
    take_lines(text, take);
  }
  co_return Error{failed(call, {}).doing + ": it has ended"};
}

}  // namespace nsrun
