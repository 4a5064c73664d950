#pragma once

#include <memory>

#include "netstack/devices/device.h"
#include "runtime/fd.h"
#include "runtime/result.h"

namespace nsrun {

// The far end of a veth pair: a packet socket with virtio headers of 10 bytes (container/device/veth.h opens it so).
// Hot path: one recvmsg or sendmsg a packet. The Ethernet header lies between the two in a place of its own,
// and never moves the packet.
class PacketDevice final : public Device {
 public:
  // The descriptor comes from a child that may be anybody's: it is checked to be such a socket. `mtu`: of the
  // guest's device, in bytes.
  static Result<std::unique_ptr<PacketDevice>> open(UniqueFd fd, std::size_t mtu);
  int fd() const override { return fd_.get(); }
  bool offloads() const override { return true; }
  bool segments_udp() const override { return segments_udp_; }
  ReadStatus read(Offload& offload, MutableBytes packet, std::size_t& size) override;
  void write(const Offload& offload, std::span<const iovec> parts) override;

 private:
  PacketDevice(UniqueFd fd, std::size_t mtu) : fd_(std::move(fd)), mtu_(mtu) {}
  ReadStatus read_error() const;
  bool send(const Offload& offload, std::span<const iovec> parts);
  void write_fragments(const Offload& offload, std::span<const iovec> parts);

  UniqueFd fd_;
  const std::size_t mtu_;
  std::uint32_t fragment_id_ = 0;
  bool segments_udp_ = true;  // until the kernel (before 6.2) refuses the first such packet
};

}  // namespace nsrun
