#pragma once

#include <array>
#include <vector>

#include "lwip/pbuf.h"
#include "netstack/devices/device.h"

namespace nsrun {

// What lwIP has sent while it was entered. It goes to the device once lwIP is left: a write copies up to
// 64 KiB, and no other stack should wait for lwIP meanwhile.
//
// Headers are copied here, for lwIP changes or frees them; with them goes what lwIP itself put behind them
// (the one byte of a window probe). Payload stays where it is: in blocks of the flow's, which are freed by a
// later entry of the same flow at the earliest.
class TcpOutput {
 public:
  explicit TcpOutput(Device& device) : device_(device) {}

  // One IP packet with a TCP segment. `segment_size`: payload bytes the guest takes in one packet; 0: unknown
  // yet, the packet is one.
  void add(const pbuf& packet, std::uint16_t segment_size);
  // Hot path: one write for each packet of up to 64 KiB, its payload uncopied.
  void write();

 private:
  static constexpr std::size_t max_copied = 128;  // bytes; IPv6 and TCP with all options are 100

  struct Packet {
    std::array<std::byte, max_copied> front;
    std::uint16_t copied;             // bytes of `front`
    std::uint16_t header_size;        // bytes of these that are IP and TCP headers
    std::uint16_t segment_size;       // bytes
    std::uint32_t payload_size;       // bytes
    std::uint32_t first_part, parts;  // in parts_, the front's own among them
  };

  void write(Packet& packet);
  static Offload offload_for(const Packet& packet, std::uint16_t ip_header, bool v4);
  void join(std::span<iovec> pieces);

  Device& device_;
  std::vector<Packet> packets_;
  std::vector<iovec> parts_;
  std::vector<std::byte> joined_;
};

}  // namespace nsrun
