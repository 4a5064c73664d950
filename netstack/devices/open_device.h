#pragma once

#include <memory>

#include "netstack/devices/device.h"
#include "runtime/fd.h"
#include "runtime/result.h"

namespace nsrun {

// The device a sandbox sent, by what its descriptor is: a TUN device (TunDevice) or a packet socket
// (PacketDevice). `mtu`: of the guest's network, in bytes.
Result<std::unique_ptr<Device>> open_device(UniqueFd fd, std::size_t mtu);

}  // namespace nsrun
