#pragma once

#include "runtime/result.h"

// Carries raw IP packets between the device and the channel to the host, one packet a record, where the host
// cannot take the device itself. Both calls block, may run at once in two threads, and return when the
// channel's other end is gone.

namespace nsrun {

Result<void> pump_from_host(int channel, int device);
Result<void> pump_to_host(int channel, int device);

// Waits until the channel's other end is gone, reading nothing from it.
Result<void> wait_for_hang_up(int channel);

}  // namespace nsrun
