#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "runtime/flow.h"
#include "runtime/result.h"

namespace nsrun {

// A port of the host that leads into the sandbox.
struct PublishedPort {
  Protocol protocol = Protocol::tcp;
  std::optional<IpAddress> address;  // of the host; none: all of its addresses, IPv4 and IPv6 alike
  std::uint16_t host_port = 0;
  std::uint16_t guest_port = 0;
  bool operator==(const PublishedPort&) const = default;
};

// docker's notation: [[ADDRESS:]HOST_PORT:]GUEST_PORT[/tcp|/udp], ports as ranges of equal length too:
// "8080:80", "127.0.0.1:5353:53/udp", "[::1]:9000-9009:9000-9009". Without an address: all of the host's.
Result<std::vector<PublishedPort>> parse_publish(std::string_view text);

}  // namespace nsrun
