#pragma once

#include <cstdint>

#include "runtime/address.h"
#include "runtime/bytes.h"

namespace nsrun {

// The Internet checksum (RFC 1071), kept as a running sum of 16-bit words in network order.
class Checksum {
 public:
  // Parts of odd length may only come last.
  Checksum& add(Bytes bytes);
  Checksum& add_word(std::uint16_t host_order);
  // Pseudo-header of RFC 793 3.1 or RFC 8200 8.1.
  Checksum& add_pseudo_header(const IpAddress& from, const IpAddress& to, std::uint8_t protocol,
                              std::uint32_t length);
  std::uint16_t folded() const;  // the sum, as it stands in memory: what a checksum offload expects to find
  std::uint16_t finished() const { return static_cast<std::uint16_t>(~folded()); }  // the checksum, likewise

 private:
  std::uint64_t sum_ = 0;
};

}  // namespace nsrun
