#include <openssl/crypto.h>

#include <algorithm>
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

constexpr std::uint32_t max_header = 16 * 1024;  // bytes
constexpr auto answer_farewell = 1s;             // for a client to have read our answer

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

std::string_view without_port(std::string_view authority) {
  const auto colon = authority.rfind(':');
  return colon == authority.npos || authority.find(']', colon) != authority.npos ? authority
                                                                                 : authority.substr(0, colon);
}

// A name that only its owner can have resolved to us: DNS rebinding makes a name of the attacker's do so.
bool is_name_of_ours(std::string_view host, const std::string& name) {
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  return IpAddress::parse(host) || host == "localhost" || (!name.empty() && host == name);
}

// A browser says whose page it is that connects: another's has no business here (RFC 6455 10.2). Where no
// token keeps strangers out, the page must come from an address, not from a name that may lead anywhere.
bool is_foreign_page(const Request& request, const UpgradeRules& rules) {
  const auto origin = view(request[http::field::origin]);
  if (origin.empty()) return false;
  const auto begin = origin.find("://");
  const auto host = view(request[http::field::host]);
  if (begin == origin.npos || origin.substr(begin + 3) != host) return true;
  return rules.token.empty() && !is_name_of_ours(without_port(host), rules.name);
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

std::optional<Answer> answer_instead(const Request& request, const UpgradeRules& rules, bool has_room) {
  const auto path = view(request.target());
  if (path.substr(0, path.find('?')) == "/health") return Answer{"200 OK", "ok", {"asked for its health"}};
  if (!shows_token(request, rules.token))
    return Answer{"401 Unauthorized\r\nWWW-Authenticate: Bearer", "this tunnel wants a token\n",
                  turned_away("a client of the tunnel did not show its token")};
  if (is_foreign_page(request, rules))
    return Answer{"403 Forbidden", "another site's page may not open this tunnel\n",
                  turned_away("a page of another site asked for a tunnel")};
  if (!boost::beast::websocket::is_upgrade(request))
    return Answer{"426 Upgrade Required\r\nUpgrade: websocket",
                  "this is a tunnel; connect with a WebSocket\n",
                  turned_away("a client asked for something else than a WebSocket")};
  if (!has_room)
    return Answer{"503 Service Unavailable\r\nRetry-After: 10", "this tunnel has too many clients\n",
                  turned_away("the tunnel has too many clients; one was refused")};
  return std::nullopt;
}

Task<Result<TunnelSocket>> give(std::unique_ptr<Connection> client, const UpgradeRules& rules,
                                bool has_room) {
  const Executor executor = co_await asio::this_coro::executor;
  ConnectionStream stream(executor, std::move(client));
  boost::beast::flat_buffer buffer;
  http::request_parser<http::empty_body> parser;
  parser.header_limit(max_header);
  const auto [error, size] = co_await http::async_read_header(stream, buffer, parser, use_result);
  if (error) co_return Error{"a client's request was not HTTP", error};
  Request request = parser.release();
  auto connection = stream.release();
  if (const auto instead = answer_instead(request, rules, has_room)) {
    co_await either(answer(*connection, instead->status, instead->body), sleep_for(answer_farewell));
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

Task<Result<TunnelSocket>> give_tunnel(std::unique_ptr<Connection> client, const UpgradeRules& rules,
                                       bool has_room, Clock::duration limit) {
  auto given = co_await within(limit, give(std::move(client), rules, has_room));
  // Beast reports that the limit ended its read.
  if (given && !*given && given->error().code == asio::error::operation_aborted) given.reset();
  if (!given) co_return Error{"a client of the tunnel asked for nothing", errno_code(ETIMEDOUT)};
  co_return std::move(*given);
}

}  // namespace nsrun
