#include "host/wake/backends/http_call.h"

#include <sys/socket.h>

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

namespace nsrun {
namespace {

namespace http = boost::beast::http;
using Stream = asio::basic_stream_socket<asio::generic::stream_protocol, Executor>;
using Parser = http::response_parser<http::string_body>;

constexpr std::size_t largest_answer = 8 << 20, largest_buffer = 64 << 10, longest_line = 1 << 20;  // bytes

Error failed(const HttpCall& call, boost::system::error_code code) {
  return {"cannot " + call.verb + " " + call.path + " of " + call.where, code};
}

// The request is sent.
Task<Result<void>> ask(Stream& stream, const HttpCall& call) {
  auto far = co_await call.dialer.dial(call.target);
  if (!far) co_return Error{"cannot reach " + call.where, far.error().code, far.error().advice};
  UniqueFd socket = (*far)->release_socket();
  if (!socket) co_return Error{"cannot reach " + call.where + " by this kind of endpoint"};
  boost::system::error_code trouble;
  SocketAddress own;
  ::getsockname(socket.get(), own.get(), &own.length);
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

Task<Result<HttpAnswer>> call_to_the_end(const HttpCall& call) {
  Stream stream(co_await asio::this_coro::executor);
  if (const auto asked = co_await ask(stream, call); !asked) co_return asked.error();
  boost::beast::flat_buffer buffer(largest_buffer);
  Parser parser;
  parser.body_limit(largest_answer);
  const auto [error, size] = co_await http::async_read(stream, buffer, parser, use_result);
  if (error) co_return failed(call, error);
  co_return HttpAnswer{parser.get().result_int(), std::move(parser.get().body())};
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

Task<Result<HttpAnswer>> http_call(HttpCall call, Clock::duration limit) {
  auto answer = co_await within(limit, call_to_the_end(call));
  if (answer) co_return std::move(*answer);
  co_return failed(call, errno_code(ETIMEDOUT));
}

Task<Error> http_lines(HttpCall call, std::function<void()> begun,
                       std::function<void(std::string_view)> take) {
  Stream stream(co_await asio::this_coro::executor);
  if (const auto asked = co_await ask(stream, call); !asked) co_return asked.error();
  boost::beast::flat_buffer buffer(largest_buffer);
  Parser parser;
  parser.body_limit(boost::none);
  const auto [error, size] = co_await http::async_read_header(stream, buffer, parser, use_result);
  if (error) co_return failed(call, error);
  const auto status = parser.get().result_int();
  if (status != 200) co_return Error{failed(call, {}).doing + ": it answers " + std::to_string(status)};
  begun();
  std::string& text = parser.get().body();  // the parser appends, and counts what it appended itself
  while (!parser.is_done() && text.size() < longest_line) {
    const auto [trouble, more] = co_await http::async_read_some(stream, buffer, parser, use_result);
    if (trouble) co_return failed(call, trouble);
    take_lines(text, take);
  }
  co_return Error{failed(call, {}).doing + ": it has ended"};
}

}  // namespace nsrun
