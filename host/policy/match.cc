#include "host/policy/match.h"

#include <algorithm>
#include <array>

#include "host/text/canonical_name.h"

namespace nsrun {
namespace {

struct ProtocolKind {
  std::string_view name;
  std::optional<Protocol> protocol;
  Match::Content content;
};

constexpr std::array kinds = {ProtocolKind{"tcp", Protocol::tcp, Match::Content::any},
                              ProtocolKind{"udp", Protocol::udp, Match::Content::any},
                              ProtocolKind{"icmp", Protocol::icmp, Match::Content::any},
                              ProtocolKind{"tls", Protocol::tcp, Match::Content::tls},
                              ProtocolKind{"http", Protocol::tcp, Match::Content::http},
                              ProtocolKind{"dns", std::nullopt, Match::Content::dns}};

Error wrong_match(std::string_view text, std::string_view why, std::string advice) {
  return {"'" + std::string(text) + "' " + std::string(why), {}, std::move(advice), ExitCode::usage};
}

constexpr auto form = "write it as [tcp/|udp/|icmp/|tls/|http/|dns/]HOST[:PORT[-PORT]]";

// The text of a host, and of its ports where there are any.
std::pair<std::string_view, std::optional<std::string_view>> split_ports(std::string_view text) {
  const auto bracket = text.find(']');
  if (text.starts_with('[') && bracket != text.npos) {
    const auto host = text.substr(1, bracket - 1);
    const auto rest = text.substr(bracket + 1);
    if (rest.empty()) return {host, std::nullopt};
    if (rest.starts_with(':')) return {host, rest.substr(1)};
    return {text, std::nullopt};
  }
  const auto colon = text.find(':');
  if (colon == text.npos || text.find(':', colon + 1) != text.npos) return {text, std::nullopt};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

Result<void> parse_host(Match& match, std::string_view host, std::string_view whole) {
  if (host == "*") return {};
  if (const auto network = Cidr::parse(host)) {
    match.host = Match::Host::network;
    match.network = *network;
    return {};
  }
  if (host.find_first_of("/:") != host.npos)
    return wrong_match(whole, "has no host that nsrun knows", "write a network as 10.0.0.0/8 or fd00::/64");
  const bool below = host.starts_with("*.");
  if (below) host.remove_prefix(2);
  if (host.find('*') != host.npos)
    return wrong_match(whole, "has a * where none can be",
                       "write *.example.org for all names below example.org");
  auto name = canonical_name(host);
  if (!name) return wrong_match(whole, "has no usable host name", name.error().advice);
  if (reads_as_address(*name))
    return wrong_match(whole, "is neither a name nor an address", "write addresses in full, as 127.0.0.1");
  if (!is_host_name(*name))
    return wrong_match(whole, "has no usable host name",
                       "names have letters, digits, hyphens and underscores; each takes a rule of its own");
  match.host = below ? Match::Host::below : Match::Host::name;
  match.name = std::move(*name);
  return {};
}

}  // namespace

Result<Match> Match::parse(std::string_view text) {
  Match match;
  std::string_view rest = text;
  for (const auto& kind : kinds) {
    if (!rest.starts_with(kind.name) || !rest.substr(kind.name.size()).starts_with('/')) continue;
    match.protocol = kind.protocol;
    match.content = kind.content;
    rest.remove_prefix(kind.name.size() + 1);
    break;
  }
  const auto [host, ports] = split_ports(rest);
  if (host.empty()) return wrong_match(text, "names no host", form);
  if (ports) {
    const auto range = PortRange::parse(*ports);
    if (!range)
      return wrong_match(text, "has no port that nsrun knows", "a port is 1 to 65535, a range FIRST-LAST");
    match.ports = *range;
  }
  if (match.protocol == Protocol::icmp && ports)
    return wrong_match(text, "gives a port to a protocol without ports", "write it as icmp/HOST");
  if (match.is_of_queries() && ports)
    return wrong_match(text, "gives a port to questions about a name", "write it as dns/NAME");
  if (auto parsed = parse_host(match, host, text); !parsed) return parsed.error();
  if (match.is_of_queries() && match.host == Host::network)
    return wrong_match(text, "is not a name to ask about", "write it as dns/NAME");
  return match;
}

std::string Match::to_string() const {
  std::string text;
  for (const auto& kind : kinds)
    if (protocol == kind.protocol && content == kind.content) text = std::string(kind.name) + "/";
  const bool with_ports = !ports.is_all();
  switch (host) {
    case Host::any:
      text += "*";
      break;
    case Host::name:
      text += name;
      break;
    case Host::below:
      text += "*." + name;
      break;
    case Host::network: {
      const bool whole = network.length == network.address.size() * 8;
      const auto shown = whole ? network.address.to_string() : network.to_string();
      text += network.address.is_v6() && with_ports ? "[" + shown + "]" : shown;
    }
  }
  if (!with_ports) return text;
  text += ":" + std::to_string(ports.first);
  return ports.first == ports.last ? text : text + "-" + std::to_string(ports.last);
}

}  // namespace nsrun
