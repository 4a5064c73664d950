#pragma once

#include <memory>

#include "netstack/devices/device.h"
#include "runtime/fd.h"
#include "runtime/result.h"

namespace nsrun {

// A TUN descriptor with virtio headers of 10 bytes and offloads on (container/device/tun.h opens it so).
// Hot path: one readv or writev a packet.
class TunDevice final : public Device {
 public:
  // The descriptor comes from a child that may be anybody's: it is checked to be such a device.
  static Result<std::unique_ptr<TunDevice>> open(UniqueFd fd);
  int fd() const override { return fd_.get(); }
  bool offloads() const override { return true; }
  bool segments_udp() const override { return segments_udp_; }
  ReadStatus read(Offload& offload, MutableBytes packet, std::size_t& size) override;
  void write(const Offload& offload, std::span<const iovec> parts) override;

 private:
  explicit TunDevice(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
  bool segments_udp_ = false;
};

}  // namespace nsrun
