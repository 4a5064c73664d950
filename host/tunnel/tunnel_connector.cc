#include "host/tunnel/tunnel_connector.h"

#include <boost/url/parse.hpp>

#include "host/dialers/proxy_dialer.h"
#include "host/text/url_text.h"
#include "host/tls/tls_connection.h"
#include "host/tunnel/environment_proxy.h"

namespace nsrun {
namespace {

constexpr auto connect_limit = 30s;  // from the first byte to an open WebSocket; then ETIMEDOUT

Error no_address(std::string_view url) {
  return {"'" + without_password(url) + "' is not the URL of a tunnel server",
          {},
          "write it as ws://HOST[:PORT]/ or wss://HOST[:PORT]/",
          ExitCode::usage};
}

}  // namespace

Result<TunnelAddress> TunnelAddress::parse(std::string_view text) {
  const auto url = boost::urls::parse_uri({text.data(), text.size()});
  if (!url || url->has_fragment() || (url->host().empty() && !url->has_port())) return no_address(text);
  const std::string scheme = url->scheme();
  if (scheme != "ws" && scheme != "wss") return no_address(text);
  TunnelAddress address;
  address.tls = scheme == "wss";
  const std::string written = url->port();
  const auto port = parse_port(written);
  if (url->has_port() && !port) return no_address(text);
  const std::string host = url->host().empty() ? "localhost" : std::string(url->host_address());
  if (has_control_character(host)) return no_address(text);
  const auto ip = IpAddress::parse(host);
  if (ip && ip->is_unspecified()) return no_address(text);
  if (ip)
    address.server.endpoint.address = *ip;
  else
    address.server.name = host;
  address.server.endpoint.port = port.value_or(address.tls ? 443 : 80);
  address.host = (url->host().empty() ? host : std::string(url->encoded_host())) +
                 (url->has_port() ? ":" + written : "");
  address.path = std::string(url->encoded_path());
  if (address.path.empty()) address.path = "/";
  if (url->has_query()) address.path += "?" + std::string(url->encoded_query());
  if (url->has_userinfo()) address.token = url->has_password() ? url->password() : url->user();
  if (has_control_character(address.token)) return no_address(text);
  address.text = scheme + "://" + address.host + address.path;
  return address;
}

Result<std::unique_ptr<TunnelConnector>> TunnelConnector::create(Executor executor, TunnelAddress address,
                                                                 TunnelAccess access) {
  std::unique_ptr<TunnelConnector> made(new TunnelConnector(std::move(address), std::move(access)));
  if (made->address_.tls) {
    auto context = TlsContext::client(made->access_.tls);
    if (!context) return context.error();
    made->tls_ = std::move(*context);
  }
  const auto proxy = proxy_of_environment(made->address_.tls, made->address_.server.host());
  auto dialer = proxy_dialer(proxy.empty() ? "direct://" : proxy, executor);
  if (!dialer) return dialer.error();
  made->dialer_ = std::move(*dialer);
  return made;
}

Task<Result<TunnelSocket>> TunnelConnector::connect() {
  auto done = co_await within(connect_limit, try_once());
  Error error{"it did not answer", errno_code(ETIMEDOUT)};
  if (done && *done) co_return std::move(*done);
  if (done) error = done->error();
  error.doing = "cannot open the tunnel to " + address_.text + ": " + error.doing;
  co_return error;
}

Task<Result<TunnelSocket>> TunnelConnector::try_once() {
  auto connection = co_await dialer_->dial(address_.server);
  if (!connection) co_return connection.error();
  if (tls_) {
    std::string server = address_.server.host();
    auto secured = co_await tls_connect(std::move(*connection), *tls_, std::move(server));
    if (!secured) co_return secured.error();
    connection = std::move(*secured);
  }
  UpgradeRequest request;
  request.host = address_.host;
  request.path = address_.path;
  request.headers = access_.headers;
  request.offers_binary = !access_.json;
  const std::string& token = access_.token.empty() ? address_.token : access_.token;
  if (!token.empty()) request.headers.emplace_back("Authorization", "Bearer " + token);
  co_return co_await ask_for_tunnel(std::move(*connection), std::move(request));
}

}  // namespace nsrun
