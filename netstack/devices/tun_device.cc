#include "netstack/devices/tun_device.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cerrno>

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

namespace nsrun {

Result<std::unique_ptr<TunDevice>> TunDevice::open(UniqueFd fd) {
  const auto wrong = [] { return errno_error("what the sandbox sent is no TUN device with virtio headers"); };
  ifreq request{};
  int header = sizeof(Offload);
  if (::ioctl(fd.get(), TUNGETIFF, &request) < 0) return wrong();
  constexpr int kind = IFF_TUN | IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  errno = EINVAL;
  if ((request.ifr_flags & kind) != (IFF_TUN | IFF_NO_PI | IFF_VNET_HDR)) return wrong();
  if (::ioctl(fd.get(), TUNSETVNETHDRSZ, &header) < 0) return wrong();
  ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
  std::unique_ptr<TunDevice> device(new TunDevice(std::move(fd)));
  // Kernels before 6.2 refuse to be asked for UDP segmentation, and then do not take such packets either.
  const unsigned tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
  device->segments_udp_ = ::ioctl(device->fd(), TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6) == 0;
  return device;
}

Device::ReadStatus TunDevice::read(Offload& offload, MutableBytes packet, std::size_t& size) {
  iovec parts[2] = {{&offload, sizeof offload}, {packet.data(), packet.size()}};
  const ssize_t got = ::readv(fd_.get(), parts, 2);
  if (got > static_cast<ssize_t>(sizeof offload)) {
    size = static_cast<std::size_t>(got) - sizeof offload;
    return ReadStatus::packet;
  }
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return ReadStatus::empty;
  return ReadStatus::closed;  // EBADFD: the device went with its namespace
}

void TunDevice::write(const Offload& offload, std::span<const iovec> parts) {
  constexpr std::size_t max_parts = 80;
  std::array<iovec, max_parts + 1> all;
  all[0] = {const_cast<Offload*>(&offload), sizeof offload};
  const std::size_t count = std::min(parts.size(), max_parts);
  std::copy_n(parts.begin(), count, all.begin() + 1);
  (void)!::writev(fd_.get(), all.data(), static_cast<int>(count + 1));
}

}  // namespace nsrun
