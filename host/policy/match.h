#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/address.h"
#include "runtime/flow.h"

namespace nsrun {

// An inclusive range of ports. An echo has port 0, which only the whole range contains.
struct PortRange {
  std::uint16_t first = 0, last = 65535;
  bool contains(std::uint16_t port) const { return first <= port && port <= last; }
  bool is_all() const { return first == 0 && last == 65535; }
  bool operator==(const PortRange&) const = default;
};

// Which flows a rule is about: [PROTOCOL/]HOST[:PORTS].
//
//   PROTOCOL  tcp, udp, icmp; tls: a tcp stream that must be TLS; http: one that must be HTTP with a Host
//             header that agrees. dns: no flow, but questions to the name server about the name. Left out:
//             any flow, and questions too.
//   HOST      *, a name, *.NAME (names below it, not itself), an address, a network (CIDR); IPv6 in brackets
//             where PORTS follow
//   PORTS     a port or FIRST-LAST; left out: all, and echoes
struct Match {
  enum class Host : std::uint8_t { any, name, below, network };
  enum class Content : std::uint8_t { any, tls, http, dns };

  std::optional<Protocol> protocol;
  Content content = Content::any;
  Host host = Host::any;
  std::string name;  // canonical; of `below`, without "*."
  Cidr network;
  PortRange ports;

  // Errors say what was expected instead.
  static Result<Match> parse(std::string_view text);
  std::string to_string() const;  // as parse() takes it
  bool is_of_queries() const { return content == Content::dns; }
  bool is_by_name() const { return host == Host::name || host == Host::below; }
  bool operator==(const Match&) const = default;
};

// A port or FIRST-LAST, 1-65535; nothing for what is neither.
std::optional<PortRange> parse_port_range(std::string_view text);

}  // namespace nsrun
