#pragma once

#include "runtime/address.h"

namespace nsrun {

// What no guest reaches unless a rule says so with that very address: the host's own loopback, link-local
// addresses, multicast, cloud metadata, and 0.0.0.0/8, which Linux takes for loopback.
bool is_protected(const IpAddress& address);
// Whether all of a network is.
bool is_protected(const Cidr& network);

}  // namespace nsrun
