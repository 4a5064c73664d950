#pragma once

#include <string>
#include <vector>

#include "runtime/fd.h"
#include "runtime/network.h"
#include "runtime/result.h"

namespace nsrun {

// Who moves the packets.
enum class DeviceMode {
  hand_over,  // the host: it gets the device's descriptor
  pump,       // this process, through read_loop and write_loop: the host cannot take descriptors. TUN only.
};

// The child's side of a sandbox, for a program of one's own that was started through Host::attach_to_cmd and
// is already in its new user, network and mount namespaces:
//
//   auto net = nsrun::Container::open(0).value();  // before pivot_root or chroot: it opens the device
//   net.setup_network().value();
//   ... pivot_root, drop privileges, exec ...
//
// Every descriptor closes on exec; the network lives on, for the host holds the device.
class Container {
 public:
  // `extra_fds` is how many extra descriptors the child got before the host's: the host is at 3 + extra_fds.
  static Result<Container> open(int extra_fds, NetworkOptions network = {},
                                DeviceMode mode = DeviceMode::hand_over);
  // The same, on a socket that is already at hand.
  static Result<Container> open(UniqueFd host, NetworkOptions network = {},
                                DeviceMode mode = DeviceMode::hand_over);

  // Configures the namespace, tells the host, and waits until it carries packets. An error holds the host's
  // own words where it was the host that gave up.
  Result<void> setup_network();

  // Makes /dev/net/tun visible below `new_root`, for a program in there that wants devices of its own. An
  // error (ENOENT) where there is none.
  Result<void> mount_tun_device(const std::string& new_root) const;

  // Host to guest, and guest to host. Each blocks until the host is gone; run one in a thread. With
  // DeviceMode::hand_over there is nothing to carry, and both only wait.
  Result<void> read_loop() const;
  Result<void> write_loop() const;

  int host() const { return host_.get(); }
  // Of the device, one for each queue. The device stays until the network namespace goes.
  const std::vector<UniqueFd>& queues() const { return queues_; }

 private:
  Container(UniqueFd host, std::vector<UniqueFd> queues, NetworkOptions network, DeviceMode mode)
      : host_(std::move(host)), queues_(std::move(queues)), network_(std::move(network)), mode_(mode) {}
  Result<void> announce() const;
  Result<void> wait_for_go() const;

  UniqueFd host_;
  std::vector<UniqueFd> queues_;
  NetworkOptions network_;
  DeviceMode mode_;
};

}  // namespace nsrun
