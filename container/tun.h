#pragma once

#include <string>

#include "runtime/fd.h"
#include "runtime/result.h"

namespace nsrun {

// Makes the TUN device `name` in the current network namespace and opens it: no packet information, a
// virtio-net header of 10 bytes in front of every packet, checksum and segmentation offload both ways
// (drivers/net/tun.c; virtio 1.2, 5.1.6). Non-blocking. The device goes with its last descriptor.
Result<UniqueFd> open_tun(const std::string& name, bool offload = true);

}  // namespace nsrun
