#include "host/outside/dial_url.h"

#include "host/endpoints/endpoint_dialer.h"
#include "host/tunnel/tunnel_dialer.h"

namespace nsrun {

Result<std::unique_ptr<Dialer>> dialer_from_url(std::string_view url, Executor executor) {
  const auto scheme = scheme_of(url);
  if (EndpointUrl::is_scheme(scheme)) {
    const auto endpoint = EndpointUrl::parse(url);
    return endpoint ? endpoint_dialer(*endpoint, executor) : endpoint.error();
  }
  if (is_tunnel_url(url)) return tunnel_dialer(url, executor);
  if (is_proxy_url(url)) return proxy_dialer(url, executor);
  return Error{
      "not a dialer: " +
          (scheme.empty() ? "it is not a URL" : "the scheme '" + std::string(scheme) + "' is unknown"),
      {},
      "write it as " + proxy_url_forms() + ", tunnel+wss://[token@]host[:443]/, " + EndpointUrl::forms(),
      ExitCode::usage};
}

bool resolves_names(std::string_view url) {
  return proxy_resolves_names(url) || is_tunnel_url(url) || EndpointUrl::is_scheme(scheme_of(url));
}

}  // namespace nsrun
