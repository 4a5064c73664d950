#pragma once

#include <string>
#include <vector>

#include "runtime/fd.h"
#include "runtime/result.h"

namespace nsrun {

// Makes the TUN device `name` in the current network namespace and opens it: no packet information, a
// virtio-net header of 10 bytes in front of every packet, checksum and segmentation offload both ways
// (drivers/net/tun.c; virtio 1.2, 5.1.6). Non-blocking. The device goes with its network namespace.
Result<UniqueFd> open_tun(const std::string& name, bool offload = true);
// The same with several queues (IFF_MULTI_QUEUE), one descriptor each; the kernel keeps a flow on one of
// them.
Result<std::vector<UniqueFd>> open_tun_queues(const std::string& name, std::size_t queues, bool offload);

}  // namespace nsrun
