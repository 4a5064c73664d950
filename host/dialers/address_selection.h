#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "runtime/address.h"

namespace nsrun {

// The address of ours by which the kernel would send to `address`, by its routes of now; nothing: it has no
// route there. Sends nothing.
std::optional<IpAddress> source_for(const IpAddress& address);

using SourceLookup = std::function<std::optional<IpAddress>(const IpAddress& destination)>;

// A name's addresses in the order of RFC 6724 6, as far as routes tell: rules 1 (no route), 2 (scope), 5
// (label), 6 (precedence) and 8 (smaller scope), with the default policy table. Where these make no
// difference the order stays, and so it does among addresses of loopback alone.
std::vector<IpAddress> sort_destinations(const std::vector<IpAddress>& addresses, const SourceLookup& source);

}  // namespace nsrun
