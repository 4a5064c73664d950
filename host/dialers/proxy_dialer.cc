#include "host/dialers/proxy_dialer.h"

#include <algorithm>
#include <array>
#include <boost/url/parse.hpp>
#include <optional>

#include "host/dialers/direct_dialer.h"
#include "host/dialers/http_connect_dialer.h"
#include "host/dialers/resolving_dialer.h"
#include "host/dialers/socks5_dialer.h"
#include "host/text/url_text.h"

namespace nsrun {
namespace {

using Made = Result<std::unique_ptr<Dialer>>;

// A URL taken apart and decoded.
struct Parts {
  Target proxy;  // tcp: host and port; the port is the scheme's own when the URL has none
  bool has_host = false;
  std::optional<Credentials> credentials;
};

using Maker = Made (*)(Parts parts, Executor executor);

struct Scheme {
  std::string_view name;
  std::string_view form;  // for the user
  std::uint16_t port;     // default; 0: the URL has no host
  bool resolves_names;
  Maker make;
};

Error misuse(std::string_view what, std::string_view form) {
  return {"not a dialer: " + std::string(what), {}, "write it as " + std::string(form), ExitCode::usage};
}

Made make_direct(Parts, Executor executor) { return std::make_unique<DirectDialer>(executor); }

Made make_socks5h(Parts parts, Executor executor) {
  if (parts.credentials) {
    // Whether they fit the protocol is better said now than at the first dial.
    const auto fits = socks5::password_request(*parts.credentials);
    if (!fits) return Error{fits.error().doing, {}, {}, ExitCode::usage};
  }
  return std::make_unique<Socks5Dialer>(std::make_unique<DirectDialer>(executor), std::move(parts.proxy),
                                        std::move(parts.credentials));
}

Made make_socks5(Parts parts, Executor executor) {
  auto by_address = make_socks5h(std::move(parts), executor);
  if (!by_address) return by_address;
  return std::make_unique<ResolvingDialer>(executor, std::move(*by_address));
}

Made make_http(Parts parts, Executor executor) {
  const auto fits = http_connect::request(parts.proxy, parts.credentials);
  if (!fits) return Error{fits.error().doing, {}, {}, ExitCode::usage};
  return std::make_unique<HttpConnectDialer>(std::make_unique<DirectDialer>(executor), std::move(parts.proxy),
                                             std::move(parts.credentials));
}

constexpr std::array schemes = {
    Scheme{"direct", "direct://", 0, false, make_direct},
    Scheme{"socks5", "socks5://[user[:password]@]host[:1080]", 1080, false, make_socks5},
    Scheme{"socks5h", "socks5h://[user[:password]@]host[:1080]", 1080, true, make_socks5h},
    Scheme{"http", "http://[user:password@]host[:80]", 80, true, make_http},
};

const Scheme* find_scheme(std::string_view url) {
  const auto name = scheme_of(url);
  const auto found =
      std::find_if(schemes.begin(), schemes.end(), [&](const Scheme& s) { return s.name == name; });
  return found == schemes.end() ? nullptr : found;
}

Target proxy_target(const boost::urls::url_view& url, std::uint16_t port) {
  Target proxy;
  proxy.endpoint.port = port;
  const std::string host = url.host_address();  // without the brackets of an IPv6 address
  if (const auto address = IpAddress::parse(host))
    proxy.endpoint.address = *address;
  else
    proxy.name = host;
  return proxy;
}

// The URL's parts, or nothing when it does not have the scheme's form.
std::optional<Parts> take_apart(std::string_view text, const Scheme& scheme) {
  const auto url = boost::urls::parse_uri({text.data(), text.size()});
  if (!url || url->has_query() || url->has_fragment()) return std::nullopt;
  Parts parts;
  parts.has_host = !url->host().empty();
  if (url->has_userinfo()) parts.credentials = Credentials{url->user(), url->password()};
  // Not port_number(), which takes what is above 65535 modulo that.
  const std::string written = url->port();
  const auto port = parse_port(written);
  const bool odd_port = url->has_port() && !port;
  const bool needs_host = scheme.port != 0;
  if (odd_port || parts.has_host != needs_host) return std::nullopt;
  if (!needs_host && (url->has_userinfo() || url->has_port())) return std::nullopt;
  if (!(url->path().empty() || url->path() == "/")) return std::nullopt;
  if (has_control_character(url->host())) return std::nullopt;
  if (needs_host) parts.proxy = proxy_target(*url, port.value_or(scheme.port));
  return parts;
}

}  // namespace

Made proxy_dialer(std::string_view url, Executor executor) {
  const auto* scheme = find_scheme(url);
  if (!scheme) {
    const std::string name(scheme_of(url));
    return misuse(name.empty() ? "it is not a URL" : "the scheme '" + name + "' is unknown",
                  proxy_url_forms());
  }
  auto parts = take_apart(url, *scheme);
  if (!parts) return misuse("the " + std::string(scheme->name) + " URL is malformed", scheme->form);
  const auto& [address, port] = parts->proxy.endpoint;
  if (parts->has_host && parts->proxy.name.empty() && address.is_unspecified())
    return misuse(address.to_string() + " is not the address of a host", scheme->form);
  return scheme->make(std::move(*parts), executor);
}

bool is_proxy_url(std::string_view url) { return find_scheme(url) != nullptr; }

std::string proxy_url_forms() {
  std::string all;
  for (const auto& scheme : schemes) {
    if (!all.empty()) all += ", ";
    all += scheme.form;
  }
  return all;
}

bool proxy_resolves_names(std::string_view url) {
  const auto* scheme = find_scheme(url);
  return scheme && scheme->resolves_names;
}

bool dials_directly(std::string_view url) {
  const auto* scheme = find_scheme(url);
  return scheme && scheme->make == make_direct;
}

}  // namespace nsrun
