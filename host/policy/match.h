#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "host/text/port_range.h"
#include "runtime/address.h"
#include "runtime/flow.h"

namespace nsrun {

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

}  // namespace nsrun
