#pragma once

#include "netstack/devices/device.h"
#include "runtime/fd.h"

namespace nsrun {

// A device at the other end of a SOCK_SEQPACKET socket, one raw IP packet a record: for a child that keeps
// its TUN device and pumps packets (Container::read_loop, write_loop), in a VM for instance. No offloads.
class ChannelDevice final : public Device {
 public:
  explicit ChannelDevice(UniqueFd socket);
  int fd() const override { return socket_.get(); }
  bool offloads() const override { return false; }
  ReadStatus read(Offload& offload, MutableBytes packet, std::size_t& size) override;
  void write(const Offload& offload, std::span<const iovec> parts) override;

 private:
  UniqueFd socket_;
};

}  // namespace nsrun
