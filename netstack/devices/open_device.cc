#include "netstack/devices/open_device.h"

#include <sys/stat.h>

#include "netstack/devices/packet_device.h"
#include "netstack/devices/tun_device.h"

namespace nsrun {
namespace {

template <class T>
Result<std::unique_ptr<Device>> as_device(Result<std::unique_ptr<T>> opened) {
  if (!opened) return opened.error();
  return std::unique_ptr<Device>(std::move(*opened));
}

}  // namespace

Result<std::unique_ptr<Device>> open_device(UniqueFd fd, std::size_t mtu) {
  struct stat about {};
  const bool is_socket = ::fstat(fd.get(), &about) == 0 && S_ISSOCK(about.st_mode);
  if (is_socket) return as_device(PacketDevice::open(std::move(fd), mtu));
  return as_device(TunDevice::open(std::move(fd)));
}

}  // namespace nsrun
