#include "container/device/tun.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include <cstring>

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20  // since Linux 6.2
#define TUN_F_USO6 0x40
#endif

namespace nsrun {
namespace {

constexpr auto device_path = "/dev/net/tun";
constexpr int virtio_header_size = 10;  // bytes: struct virtio_net_hdr

Error open_error() {
  const bool forbidden = errno == EACCES || errno == EPERM;
  return errno_error("cannot open /dev/net/tun",
                     forbidden
                         ? "it must be readable and writable for you: chmod 0666 /dev/net/tun as root"
                         : "load the tun module (modprobe tun as root), or give the container the device",
                     ExitCode::no_tun);
}

Result<UniqueFd> open_queue(const std::string& name, bool one_of_many, bool offload) {
  UniqueFd fd(::open(device_path, O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return open_error();

  ifreq request{};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  request.ifr_flags = static_cast<short>(IFF_TUN | IFF_NO_PI | (offload ? IFF_VNET_HDR : 0) |
                                         (one_of_many ? IFF_MULTI_QUEUE : 0));
  if (::ioctl(fd.get(), TUNSETIFF, &request) < 0)
    return errno_error("cannot make the network device " + name,
                       errno == ENOTTY
                           ? "/dev/net/tun is some other device: mknod /dev/net/tun c 10 200 as root"
                           : "the namespace needs CAP_NET_ADMIN, and the name at most 15 characters",
                       ExitCode::no_tun);
  // The kernel takes some 30 ms to unregister a device, and the process that closes it last waits for that. A
  // persistent device goes with its network namespace instead, which a kernel worker takes down.
  (void)::ioctl(fd.get(), TUNSETPERSIST, 1);
  if (!offload) return fd;

  int size = virtio_header_size;
  if (::ioctl(fd.get(), TUNSETVNETHDRSZ, &size) < 0)
    return errno_error("cannot set the header size of " + name, {}, ExitCode::no_tun);
  const unsigned segmentation = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
  // Kernels before 6.2 do not know UDP segmentation and refuse the whole set.
  if (::ioctl(fd.get(), TUNSETOFFLOAD, segmentation | TUN_F_USO4 | TUN_F_USO6) < 0 &&
      ::ioctl(fd.get(), TUNSETOFFLOAD, segmentation) < 0)
    return errno_error("cannot turn on offloads of " + name, {}, ExitCode::no_tun);
  return fd;
}

}  // namespace

Result<UniqueFd> open_tun(const std::string& name, bool offload) { return open_queue(name, false, offload); }

Result<std::vector<UniqueFd>> open_tun_queues(const std::string& name, std::size_t queues, bool offload) {
  std::vector<UniqueFd> all;
  for (std::size_t i = 0; i < queues; ++i) {
    auto queue = open_queue(name, queues > 1, offload);
    if (!queue) return queue.error();
    all.push_back(std::move(*queue));
  }
  return all;
}

}  // namespace nsrun
