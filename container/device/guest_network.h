#pragma once

#include "runtime/network.h"
#include "runtime/result.h"

namespace nsrun {

// Sets up the current network namespace, in which the device options.device exists: lo and the device up,
// the guest's addresses (at once usable: no duplicate address detection), default routes through the
// gateways. IPv6 is left out when options.ipv6 is false.
Result<void> set_up_guest_network(const NetworkOptions& options);

// False when the kernel was built or booted without IPv6.
bool kernel_has_ipv6();

}  // namespace nsrun
