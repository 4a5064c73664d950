#include "host/endpoints/endpoint_url.h"

#include <algorithm>
#include <array>
#include <boost/url/parse.hpp>
#include <charconv>
#include <optional>

#include "host/text/canonical_name.h"
#include "host/text/url_text.h"

namespace nsrun {
namespace {

using Kind = EndpointUrl::Kind;

struct Form {
  std::string_view scheme;
  Kind kind;
  std::string_view form;     // for the user
  std::string_view options;  // that it takes, each between spaces
};

constexpr std::array known_forms = {
    Form{"tcp", Kind::tcp, "tcp://HOST:PORT", ""},
    Form{"udp", Kind::udp, "udp://HOST:PORT", ""},
    Form{"tls", Kind::tls, "tls://HOST:PORT[?cert=FILE&key=FILE&…]", " cert key ca name alpn verify "},
    Form{"unix", Kind::unix_stream, "unix:///PATH", " mode "},
    Form{"unix+dgram", Kind::unix_datagram, "unix+dgram:///PATH", " mode "},
    Form{"vsock", Kind::vsock, "vsock://CID:PORT, CID a number, any, host or local", ""},
    Form{"hvsock", Kind::hybrid_vsock, "hvsock:///PATH:PORT", " mode "},
    Form{"guest+tcp", Kind::guest_tcp, "guest+tcp://HOST:PORT", ""},
    Form{"guest+udp", Kind::guest_udp, "guest+udp://HOST:PORT", ""},
};

const Form& form_of(Kind kind) { return *std::ranges::find(known_forms, kind, &Form::kind); }

Error wrong(std::string_view text, const std::string& what, std::string_view form) {
  return {"'" + without_password(text) + "' is not a valid endpoint: " + what,
          {},
          "write it as " + std::string(form),
          ExitCode::usage};
}

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// vsock(7) numbers, and the names of those that mean something.
std::optional<std::uint32_t> cid(std::string_view text) {
  if (text == "any") return EndpointUrl::any_cid;
  if (text == "hypervisor") return 0;
  if (text == "local") return 1;
  if (text == "host") return 2;
  return number(text);
}

// What is wrong, or nothing.
using Flaw = std::optional<std::string>;

Flaw take_ip(EndpointUrl& endpoint, const std::string& host, const std::string& port) {
  if (port != "0" && !parse_port(port)) return "it has no port (1-65535)";
  endpoint.port = *number(port);
  if (host.empty() || host == "*") return std::nullopt;
  if (const auto address = IpAddress::parse(host)) {
    endpoint.host = address->to_string();
    return std::nullopt;
  }
  auto name = canonical_name(host);
  if (!name) return "'" + host + "' is neither an address nor a host name";
  if (endpoint.is_guest() && *name != "localhost")
    return "'" + host + "' is neither an address in the sandbox nor localhost";
  endpoint.host = std::move(*name);
  return std::nullopt;
}

Flaw take_vsock(EndpointUrl& endpoint, const std::string& host, const std::string& port) {
  const auto context = cid(host);
  if (!context) return "'" + host + "' is not a valid CID";
  const auto number_of_port = number(port);
  if (!number_of_port) return "it has no port (a number of 32 bits)";
  endpoint.cid = *context;
  endpoint.port = *number_of_port;
  return std::nullopt;
}

Flaw take_hybrid(EndpointUrl& endpoint) {
  const auto colon = endpoint.path.rfind(':');
  const auto port = colon == endpoint.path.npos ? std::nullopt : number(endpoint.path.substr(colon + 1));
  if (!port) return "it has no port after its path";
  endpoint.port = *port;
  endpoint.path.resize(colon);
  return endpoint.path.size() < 2 ? Flaw("it has no path") : std::nullopt;
}

Flaw take_options(EndpointUrl& endpoint, const boost::urls::url_view& url, const Form& form) {
  for (const auto& option : url.params()) {
    const std::string key(option.key);
    if (!option.has_value || form.options.find(" " + key + " ") == form.options.npos)
      return "the option '" + key + "' is " + (option.has_value ? "unknown" : "without a value");
    if (!endpoint.options.emplace(key, option.value).second) return "the option '" + key + "' is there twice";
  }
  return std::nullopt;
}

Flaw take_place(EndpointUrl& endpoint, const boost::urls::url_view& url) {
  const std::string host = url.host_address(), port = url.port();
  endpoint.path = url.path();
  const bool is_path = endpoint.kind == Kind::unix_stream || endpoint.kind == Kind::unix_datagram ||
                       endpoint.kind == Kind::hybrid_vsock;
  if (url.has_userinfo()) return "it has a user";
  if (has_control_character(host) || has_control_character(endpoint.path))
    return "it has a control character";
  if (is_path && (!host.empty() || url.has_port())) return "it has a host; a path begins with the third '/'";
  if (is_path && (endpoint.path.size() < 2 || endpoint.path[0] != '/')) return "it has no path";
  if (!is_path && !(endpoint.path.empty() || endpoint.path == "/")) return "it has a path";
  if (endpoint.kind == Kind::hybrid_vsock) return take_hybrid(endpoint);
  if (is_path) return std::nullopt;
  return endpoint.kind == Kind::vsock ? take_vsock(endpoint, host, port) : take_ip(endpoint, host, port);
}

}  // namespace

bool EndpointUrl::is_scheme(std::string_view scheme) {
  return std::ranges::find(known_forms, scheme, &Form::scheme) != known_forms.end();
}

std::string EndpointUrl::forms() {
  std::string all;
  for (const auto& form : known_forms) all += (all.empty() ? "" : ", ") + std::string(form.form);
  return all;
}

Result<EndpointUrl> EndpointUrl::parse(std::string_view text) {
  const auto scheme = scheme_of(text);
  const auto form = std::ranges::find(known_forms, scheme, &Form::scheme);
  if (form == known_forms.end())
    return wrong(text,
                 scheme.empty() ? "it is not a URL" : "the scheme '" + std::string(scheme) + "' is unknown",
                 forms());
  const auto url = boost::urls::parse_uri({text.data(), text.size()});
  if (!url || url->has_fragment()) return wrong(text, "it is malformed", form->form);
  EndpointUrl endpoint;
  endpoint.kind = form->kind;
  endpoint.text = text;
  Flaw flaw = take_place(endpoint, *url);
  if (!flaw) flaw = take_options(endpoint, *url, *form);
  if (flaw) return wrong(text, *flaw, form->form);
  return endpoint;
}

Transport EndpointUrl::transport() const {
  const bool datagrams = kind == Kind::udp || kind == Kind::unix_datagram || kind == Kind::guest_udp;
  return datagrams ? Transport::datagram : Transport::stream;
}

Target EndpointUrl::target() const {
  Target target;
  target.protocol = protocol();
  if (!is_ip() && !is_guest()) {
    target.name = to_string();
    return target;
  }
  target.endpoint.port = static_cast<std::uint16_t>(port);
  if (is_guest() && host == "localhost") {
    target.endpoint.address = IpAddress::v4(127, 0, 0, 1);
    target.name = host;
    return target;
  }
  if (const auto address = IpAddress::parse(host))
    target.endpoint.address = *address;
  else
    target.name = host;
  return target;
}

std::string EndpointUrl::to_string() const {
  const std::string begin = std::string(form_of(kind).scheme) + "://";
  if (kind == Kind::unix_stream || kind == Kind::unix_datagram) return begin + path;
  if (kind == Kind::hybrid_vsock) return begin + path + ":" + std::to_string(port);
  if (kind == Kind::vsock)
    return begin + (cid == any_cid ? "any" : std::to_string(cid)) + ":" + std::to_string(port);
  const auto address = IpAddress::parse(host);
  const bool brackets = address && address->is_v6();
  return begin + (brackets ? "[" + host + "]" : host.empty() ? "*" : host) + ":" + std::to_string(port);
}

}  // namespace nsrun
