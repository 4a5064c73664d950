#include "netstack/checksum.h"

#include <arpa/inet.h>

#include <cstring>

namespace nsrun {

Checksum& Checksum::add(Bytes bytes) {
  // One's complement addition is the same in any word size (RFC 1071 2): 32 bits at a time, carries in the
  // top.
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 4; at += 4, left -= 4) {
    std::uint32_t word;
    std::memcpy(&word, at, 4);
    sum_ += word;
  }
  if (left > 0) {
    std::uint32_t word = 0;
    std::memcpy(&word, at, left);
    sum_ += word;
  }
  return *this;
}

Checksum& Checksum::add_word(std::uint16_t host_order) {
  sum_ += htons(host_order);
  return *this;
}

Checksum& Checksum::add_pseudo_header(const IpAddress& from, const IpAddress& to, std::uint8_t protocol,
                                      std::uint32_t length) {
  add(std::as_bytes(std::span(from.data(), from.size())));
  add(std::as_bytes(std::span(to.data(), to.size())));
  sum_ += htonl(length);
  return add_word(protocol);
}

std::uint16_t Checksum::folded() const {
  std::uint64_t sum = sum_;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

}  // namespace nsrun
