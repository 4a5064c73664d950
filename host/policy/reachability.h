#pragma once

#include "runtime/address.h"

namespace nsrun {

// What no guest reaches unless a rule says so with that very address: the host's own loopback, link-local
// addresses, multicast and cloud metadata. Unspecified addresses are protected, too, and no rule opens them:
// connect(2) takes them for loopback, so a flow would reach another address than the one that was judged.
bool is_protected(const IpAddress& address);
// Whether all of a network is.
bool is_protected(const Cidr& network);
// Whether what is sent to the address stays on this machine, by the kernel's routes of now.
bool is_own_address(const IpAddress& address);

}  // namespace nsrun
