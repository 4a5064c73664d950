#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/address.h"

namespace nsrun {

// HOST:PORT as HTTP writes it (RFC 9110 4.2.3, 7.2): a name, an IPv4 address, or an IPv6 address in brackets.
struct Authority {
  std::string host;  // a canonical name, or an address in its one textual form
  std::uint16_t port = 0;

  // Nothing: it is none. `default_port` is for text without a port; 0: it must have one.
  static std::optional<Authority> parse(std::string_view text, std::uint16_t default_port = 0);
  std::optional<IpAddress> address() const { return IpAddress::parse(host); }
  std::string to_string() const;
  bool operator==(const Authority&) const = default;
};

}  // namespace nsrun
