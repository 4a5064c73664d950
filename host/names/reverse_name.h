#pragma once

#include <optional>
#include <string_view>

#include "runtime/address.h"

namespace nsrun {

// The address a PTR query asks about: "1.0.18.198.in-addr.arpa" (RFC 1035 3.5), 32 nibbles and "ip6.arpa"
// (RFC 3596 2.5). `name` is in lower case, without the trailing dot.
std::optional<IpAddress> parse_reverse_name(std::string_view name);

}  // namespace nsrun
