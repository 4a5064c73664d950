#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>

#include "runtime/bytes.h"

namespace nsrun {

// What the kernel is asked to do to a packet, or has left undone: struct virtio_net_hdr (virtio 1.2, 5.1.6),
// little-endian, 10 bytes in front of each packet on a TUN device opened with IFF_VNET_HDR.
struct Offload {
  static constexpr std::uint8_t needs_checksum = 1;                                   // flags
  static constexpr std::uint8_t segment_tcp4 = 1, segment_tcp6 = 4, segment_udp = 5;  // segmentation

  std::uint8_t flags = 0;
  std::uint8_t segmentation = 0;      // 0: none
  std::uint16_t header_length = 0;    // bytes up to the payload
  std::uint16_t segment_size = 0;     // payload bytes of each segment
  std::uint16_t checksum_start = 0;   // where the transport header begins
  std::uint16_t checksum_offset = 0;  // from there to its checksum field, which holds the pseudo-header's sum
};
static_assert(sizeof(Offload) == 10);

// Where the guest's IP packets come from and go to. Never blocks.
class Device {
 public:
  virtual ~Device() = default;

  // Becomes readable when packets wait.
  virtual int fd() const = 0;
  // True: `Offload` is honoured both ways. False: packets are whole, at most `mtu` bytes, checksums included.
  virtual bool offloads() const = 0;
  // True: also Offload::segment_udp, towards the guest (Linux 6.2 on).
  virtual bool segments_udp() const { return false; }

  enum class ReadStatus { packet, empty, closed };
  // One packet into `packet` (at least max_packet bytes), its size into `size`.
  virtual ReadStatus read(Offload& offload, MutableBytes packet, std::size_t& size) = 0;
  // One packet from its parts (headers first). Where there is no room it is lost, as on any network.
  virtual void write(const Offload& offload, std::span<const iovec> parts) = 0;
};

constexpr std::size_t max_packet = 65'535 + 40;  // bytes: the largest IPv6 packet without jumbo payload

}  // namespace nsrun
