// HTTP CONNECT as a server (RFC 9110 9.3.6).

#include <array>

#include "host/dialers/direct_dialer.h"
#include "tests/support/dialers_proxies.h"

namespace nsrun::test {
namespace {

struct HttpConnectProxy {
  Loop& loop;
  const ProxyOptions& options;
  ProxySeen& seen;
};

Task<std::string> take_head(Connection& client) {
  std::string head;
  while (!head.ends_with("\r\n\r\n")) {
    std::array<std::byte, 1> next;
    (co_await read_exactly(client, next)).value();
    head += as_text(next);
  }
  co_return head;
}

Task<> until_http_closed(Connection& client) {
  std::array<std::byte, 64> ignored;
  while (true) {
    const auto chunk = co_await client.read(ignored);
    if (!chunk || chunk->end) co_return;
  }
}

Target target_of(const std::string& authority) {
  Target target;
  const auto endpoint = Endpoint::parse(authority);
  const auto colon = authority.rfind(':');
  if (!endpoint) target.name = authority.substr(0, colon);
  target.endpoint = endpoint.value_or(Endpoint{{}, *parse_port(authority.substr(colon + 1))});
  return target;
}

// "user:password" in base64, as the tests write it by hand.
bool may_pass(const std::string& head, const ProxyOptions& options) {
  if (!options.wants) return true;
  return head.find("\r\nProxy-Authorization: Basic " + options.wants->password + "\r\n") != head.npos;
}

Task<> serve_http(HttpConnectProxy proxy, std::unique_ptr<Connection> client) {
  const auto head = co_await take_head(*client);
  const std::string method = "CONNECT ";
  const auto authority = head.substr(method.size(), head.find(' ', method.size()) - method.size());
  proxy.seen.last_target = authority;
  if (proxy.options.silent) co_return co_await until_http_closed(*client);
  if (!may_pass(head, proxy.options))
    co_return co_await write_all(*client, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
  DirectDialer direct(proxy.loop.executor());
  const auto target = target_of(authority);
  const auto far = co_await direct.dial(target);
  if (!far) co_return co_await write_all(*client, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
  const std::string established = "HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n";
  const auto answer = proxy.options.before_answer + established + proxy.options.after_answer;
  co_await write_all(*client, answer);
  co_await splice(*client, **far);
}

}  // namespace

Target start_http_proxy(Loop& loop, const ProxyOptions& options, ProxySeen& seen) {
  auto listener = listening_socket(options.listen);
  const Target target{Protocol::tcp, bound_endpoint(listener.get()), {}};
  const HttpConnectProxy proxy{loop, options, seen};
  serve_stream(loop, std::move(listener),
               [proxy](std::unique_ptr<Connection> client) { return serve_http(proxy, std::move(client)); });
  return target;
}

}  // namespace nsrun::test
