#pragma once

#include <optional>
#include <vector>

#include "runtime/fd.h"
#include "runtime/network.h"
#include "runtime/result.h"

namespace nsrun {

struct GuestDevice {
  // One for each queue: of a TUN device, or packet sockets on the far end of a veth pair.
  std::vector<UniqueFd> queues;
  // Why it is not the one that was wanted first; for the user.
  std::optional<Error> why_not_tun = {};
};

// The device network.device of the kind asked for, in the current network namespace. Without `offload`, for
// packets that are whole, only a TUN device will do. Errors have ExitCode::no_tun, and name both causes where
// neither device can be had.
Result<GuestDevice> open_guest_device(const NetworkOptions& network, std::size_t queues, bool offload);

}  // namespace nsrun
