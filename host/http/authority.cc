#include "host/http/authority.h"

#include <algorithm>

#include "host/text/canonical_name.h"

namespace nsrun {
namespace {

// Of the characters that a URL's host may have (RFC 3986 3.2.2) those that names of hosts are made of.
bool is_of_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

}  // namespace

std::optional<Authority> Authority::parse(std::string_view text, std::uint16_t default_port) {
  const bool brackets = text.starts_with('[');
  const auto end_of_host = brackets ? text.find(']') : text.find(':');
  if (brackets && end_of_host == text.npos) return std::nullopt;
  const auto host = text.substr(brackets ? 1 : 0, end_of_host - (brackets ? 1 : 0));
  auto rest = end_of_host == text.npos ? std::string_view{} : text.substr(end_of_host + (brackets ? 1 : 0));
  Authority authority;
  authority.port = default_port;
  if (rest.size() > 1 || (rest.size() == 1 && default_port == 0)) {
    const auto port = rest.starts_with(':') ? parse_port(rest.substr(1)) : std::nullopt;
    if (!port) return std::nullopt;
    authority.port = *port;
  } else if (!rest.empty() && rest != ":") {  // a port may be empty, and is then the default
    return std::nullopt;
  }
  if (authority.port == 0) return std::nullopt;
  if (const auto address = IpAddress::parse(host)) {
    // Also ::ffff:192.0.2.1 is IPv6 as it is written.
    if (brackets != (host.find(':') != host.npos)) return std::nullopt;
    authority.host = address->to_string();
    return authority;
  }
  auto name = canonical_name(host);
  if (brackets || !name || !std::ranges::all_of(*name, is_of_name)) return std::nullopt;
  authority.host = std::move(*name);
  return authority;
}

std::string Authority::to_string() const {
  const bool brackets = host.find(':') != host.npos;
  return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace nsrun
