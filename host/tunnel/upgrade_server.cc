#include <openssl/crypto.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include "host/tunnel/frame.h"
#include "host/tunnel/upgrade.h"
#include "host/tunnel/upgrade_streams.h"

namespace nsrun {
namespace {

namespace http = boost::beast::http;
using Request = http::request<http::empty_body>;

constexpr std::uint32_t most_header = 16 * 1024;  // bytes
constexpr auto farewell = 1s;                     // for a client to have read our answer

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

bool offers_binary(const Request& request) {
  const http::token_list offered(request[http::field::sec_websocket_protocol]);
  return std::any_of(offered.begin(), offered.end(),
                     [](const auto& one) { return view(one) == tunnel::subprotocol; });
}

// In a time that does not tell how much of it is right.
bool shows_token(const Request& request, const std::string& token) {
  if (token.empty()) return true;
  const std::string expected = "Bearer " + token;
  const auto shown = view(request[http::field::authorization]);
  if (shown.size() != expected.size()) return false;
  return CRYPTO_memcmp(shown.data(), expected.data(), expected.size()) == 0;
}

// A browser says whose page it is that connects: another's has no business here (RFC 6455 10.2).
bool is_foreign_page(const Request& request) {
  const auto origin = view(request[http::field::origin]);
  if (origin.empty()) return false;
  const auto begin = origin.find("://");
  return begin == origin.npos || origin.substr(begin + 3) != view(request[http::field::host]);
}

// Answers, and waits for the client to have read it: a close with something unread would take it away.
Task<> answer(Connection& client, std::string status, std::string body) {
  const std::string text = "HTTP/1.1 " + status +
                           "\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(body.size()) +
                           "\r\nConnection: close\r\n\r\n" + body;
  const auto said = co_await client.write(as_bytes(text));
  client.finish();
  std::array<std::byte, 512> rest;
  for (bool more = static_cast<bool>(said); more;) {
    const auto chunk = co_await client.read(rest);
    more = chunk && !chunk->end;
  }
}

Error turned_away(const char* why) { return {why, errno_code(EACCES)}; }

template <class Stream>
Task<Result<TunnelSocket>> upgrade(Stream stream, Request request, bool binary) {
  WebSocketOn<Stream> socket(std::move(stream));
  set_limits(socket);
  socket.set_option(boost::beast::websocket::stream_base::decorator([binary](auto& response) {
    if (binary) response.set(http::field::sec_websocket_protocol, std::string(tunnel::subprotocol));
  }));
  const auto [error] = co_await socket.async_accept(request, use_result);
  if (error) co_return Error{"a tunnel's WebSocket was not opened", error};
  co_return TunnelSocket{attach_web_socket(std::move(socket)), binary};
}

// What is answered to a request that does not become a tunnel, and why.
struct Answer {
  const char* status;
  const char* body;
  Error why;
};

std::optional<Answer> answer_instead(const Request& request, const UpgradeRules& rules) {
  const auto path = view(request.target());
  if (path.substr(0, path.find('?')) == "/health") return Answer{"200 OK", "ok", {"asked for its health"}};
  if (!shows_token(request, rules.token))
    return Answer{"401 Unauthorized\r\nWWW-Authenticate: Bearer", "this tunnel wants a token\n",
                  turned_away("a client of the tunnel did not show its token")};
  if (is_foreign_page(request))
    return Answer{"403 Forbidden", "another site's page may not open this tunnel\n",
                  turned_away("a page of another site asked for a tunnel")};
  if (!boost::beast::websocket::is_upgrade(request))
    return Answer{"426 Upgrade Required\r\nUpgrade: websocket",
                  "this is a tunnel; connect with a WebSocket\n",
                  turned_away("a client asked for something else than a WebSocket")};
  return std::nullopt;
}

Task<Result<TunnelSocket>> give(std::unique_ptr<Connection> client, const UpgradeRules& rules) {
  const Executor executor = co_await asio::this_coro::executor;
  ConnectionStream stream(executor, std::move(client));
  boost::beast::flat_buffer buffer;
  http::request_parser<http::empty_body> parser;
  parser.header_limit(most_header);
  const auto [error, size] = co_await http::async_read_header(stream, buffer, parser, use_result);
  if (error) co_return Error{"a client's request was no HTTP", error};
  Request request = parser.release();
  auto connection = stream.release();
  if (const auto instead = answer_instead(request, rules)) {
    co_await either(answer(*connection, instead->status, instead->body), sleep_for(farewell));
    co_return instead->why;
  }
  const bool binary = rules.takes_binary && offers_binary(request);
  const auto rest = buffer.cdata();
  std::string early(static_cast<const char*>(rest.data()), rest.size());
  if (auto socket = tcp_socket_of(executor, *connection, early))
    co_return co_await upgrade(std::move(*socket), std::move(request), binary);
  ConnectionStream again(executor, std::move(connection), std::move(early));
  co_return co_await upgrade(std::move(again), std::move(request), binary);
}

}  // namespace

Task<Result<TunnelSocket>> give_tunnel(std::unique_ptr<Connection> client, const UpgradeRules& rules) {
  auto given = co_await within(upgrade_limit, give(std::move(client), rules));
  if (!given) co_return Error{"a client of the tunnel asked for nothing", errno_code(ETIMEDOUT)};
  co_return std::move(*given);
}

}  // namespace nsrun
