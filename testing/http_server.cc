#include "testing/http_server.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/parser.hpp>
#include <optional>

#include "host/http/growing_body.h"

namespace nsrun::testing {
namespace {

namespace http = boost::beast::http;
using Parser = http::request_parser<GrowingBody>;

constexpr std::size_t read_size = 16 * 1024;  // bytes

std::string view(boost::beast::string_view text) { return {text.data(), text.size()}; }

HttpRequest describe(const Parser& parser, const HttpRequest& visited) {
  const auto& message = parser.get();
  HttpRequest request = visited;
  request.method = view(message.method_string());
  request.target = view(message.target());
  for (const auto& field : message)
    request.headers.emplace_back(view(field.name_string()), view(field.value()));
  request.body = message.body();
  return request;
}

bool has_body(unsigned status) { return status >= 200 && status != 204 && status != 304; }

std::string encode(const HttpResponse& response, bool is_head, bool keeps_open) {
  const auto reason = http::obsolete_reason(http::int_to_status(response.status));
  std::string text = "HTTP/1.1 " + std::to_string(response.status) + " " + view(reason) + "\r\n";
  for (const auto& [name, value] : response.headers) text += name + ": " + value + "\r\n";
  if (has_body(response.status) && find_header(response.headers, "Content-Length").empty())
    text += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
  if (!keeps_open) text += "Connection: close\r\n";
  text += "\r\n";
  if (has_body(response.status) && !is_head) text += response.body;
  return text;
}

// One client's requests, one after the other.
class Session {
 public:
  Session(Connection& client) : client_(client) {}

  enum class Received { request, end, malformed, too_large };
  Task<Received> receive(Parser& parser);
  Task<bool> send(std::string text) {
    const auto sent = co_await client_.write(as_bytes(text));
    co_return sent.has_value();
  }

 private:
  Task<bool> read_more();

  Connection& client_;
  std::string waiting_;  // read, not parsed
};

Task<bool> Session::read_more() {
  const auto size = waiting_.size();
  waiting_.resize(size + read_size);
  const auto chunk = co_await client_.read(std::as_writable_bytes(std::span(waiting_)).subspan(size));
  waiting_.resize(size + (chunk ? chunk->size : 0));
  co_return chunk && !chunk->end;
}

Task<Session::Received> Session::receive(Parser& parser) {
  bool told_to_continue = false;
  while (true) {
    if (!waiting_.empty()) {
      boost::system::error_code error;
      waiting_.erase(0, parser.put(boost::asio::buffer(waiting_), error));
      if (error == http::error::body_limit) co_return Received::too_large;
      if (error && error != http::error::need_more) co_return Received::malformed;
      if (parser.is_done()) co_return Received::request;
    }
    // The client waits for this before it sends the body (RFC 9110 10.1.1).
    if (parser.is_header_done() && !told_to_continue &&
        boost::beast::iequals(parser.get()[http::field::expect], "100-continue")) {
      told_to_continue = true;
      if (!co_await send("HTTP/1.1 100 Continue\r\n\r\n")) co_return Received::end;
    }
    if (!co_await read_more()) co_return Received::end;
  }
}

}  // namespace

std::string_view find_header(const HttpHeaders& headers, std::string_view name) {
  const auto found = std::find_if(headers.begin(), headers.end(), [&](const auto& header) {
    return boost::beast::iequals(header.first, boost::beast::string_view(name.data(), name.size()));
  });
  return found == headers.end() ? std::string_view{} : std::string_view(found->second);
}

Task<> serve_http_raw(Connection& client, HttpRequest visited, RawHandler handler) {
  Session session(client);
  bool keeps_open = true;
  while (keeps_open) {
    Parser parser;
    parser.eager(true);
    parser.body_limit(max_http_body);
    const auto received = co_await session.receive(parser);
    if (received == Session::Received::end) break;
    std::optional<RawResponse> response;
    if (received == Session::Received::request)
      response = handler(describe(parser, visited), parser.keep_alive());
    else
      response = {encode({received == Session::Received::too_large ? 413u : 400u}, false, false), false};
    if (!response) co_return client.reset();
    keeps_open = response->keeps_open;
    if (!co_await session.send(std::move(response->bytes))) co_return;
  }
  client.finish();
}

Task<> serve_http(Connection& client, HttpRequest visited, HttpHandler handler) {
  RawHandler encoding = [&handler](const HttpRequest& request, bool keeps_open) {
    const auto response = handler(request);
    return std::optional(RawResponse{encode(response, request.method == "HEAD", keeps_open), keeps_open});
  };
  co_await serve_http_raw(client, std::move(visited), std::move(encoding));
}

}  // namespace nsrun::testing
