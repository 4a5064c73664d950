#pragma once

#include <string>

#include "runtime/result.h"

namespace nsrun {

// Turns off what segmentation offload the network device `name` has beyond that of TCP and, where this kernel
// can say it in a virtio header (Linux 6.2), UDP: such packets are then cut before the device gets them.
Result<void> limit_segmentation(const std::string& name);

}  // namespace nsrun
