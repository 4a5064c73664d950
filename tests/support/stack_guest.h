#pragma once

#include "tests/support/stack_packets.h"

namespace nsrun::test {

// A guest's end of one TCP connection, which does just what its script says. Left alone it acknowledges what
// comes in order, and takes no notice of the rest.
class GuestTcp {
 public:
  GuestTcp(MemoryDevice& device, Endpoint own, Endpoint target)
      : device_(device), own_(own), target_(target) {}

  // ---- how it behaves; set before syn()
  std::uint16_t mss = 1460;
  std::optional<std::uint8_t> scale = 7;
  std::uint32_t window = 65'535u << 7;  // bytes it offers
  bool acknowledges = true;             // what it gets, at once
  bool offers_ecn = false;

  // ---- what it does
  void syn(Bytes data = {});
  void send(Bytes bytes, std::uint8_t flags = flag::psh);  // next in order, as one segment
  void send_all(Bytes bytes);                              // in segments of `mss`
  // A segment `offset` bytes from the stream's start; what send() does next is not affected.
  void segment(std::uint32_t offset, Bytes bytes, std::uint8_t flags = flag::ack, Octets options = {});
  void acknowledge();
  void acknowledge(std::uint32_t received_bytes);
  void finish(Bytes last = {});
  void reset();
  void refuse(const Seen& syn);             // RST to a SYN of the stack
  void accept_connection(const Seen& syn);  // SYN+ACK to a SYN of the stack

  // ---- what it saw
  bool connected = false, got_fin = false, got_reset = false;
  Octets received;            // in order
  std::vector<Seen> seen;     // every segment
  std::uint32_t offered = 0;  // bytes the stack's window leaves open, from what it acknowledged
  std::uint32_t acknowledged_bytes() const { return their_ack_ - (initial_ + 1); }  // of ours; FIN counts
  std::uint32_t sent_bytes() const { return next_ - (initial_ + 1); }
  void hear(const Seen& segment);
  const Endpoint& own() const { return own_; }
  const Endpoint& target() const { return target_; }

 private:
  void transmit(std::uint32_t sequence, std::uint8_t flags, Bytes bytes, Octets options = {});
  void take(const Seen& segment);
  std::uint16_t window_field(bool syn) const;

  MemoryDevice& device_;
  const Endpoint own_, target_;
  const std::uint32_t initial_ = 0xffff'f000;  // the sequence numbers wrap early
  std::uint32_t next_ = initial_, their_next_ = 0, their_first_ = 0, their_ack_ = initial_ + 1;
  std::optional<std::uint8_t> their_scale_;
};

}  // namespace nsrun::test
