#pragma once

#include <string>
#include <vector>

#include "runtime/fd.h"
#include "runtime/result.h"

namespace nsrun {

// Makes the Ethernet device `name` in the current network namespace, for where there is no TUN device, and
// opens its far end: non-blocking packet sockets (packet(7)) that give and take Ethernet frames behind a
// virtio-net header of 10 bytes, checksum and segmentation offload both ways. `mtu` in bytes. With several
// `queues` each gets the guest's packets of the flows that a hash of addresses and ports gives it. The device
// goes with the last descriptor. Leaves the calling thread in the namespace it was in.
Result<std::vector<UniqueFd>> open_veth(const std::string& name, std::size_t mtu, std::size_t queues = 1);

// Once the device `name` is up: has the kernel take note now that both ends carry packets, which it would do
// a moment later by itself, and lose what is sent until then. Does nothing to a TUN device.
void settle_veth(const std::string& name, int socket);

}  // namespace nsrun
