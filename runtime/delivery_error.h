#pragma once

#include <cstdint>
#include <optional>

// Datagrams that did not arrive, and why: what ICMP says about them, or the kernel before they left.

namespace nsrun {

enum class IcmpError {
  network_unreachable,
  host_unreachable,
  port_unreachable,
  prohibited,
  time_exceeded,
  too_big  // fragmentation needed (RFC 1191), or ICMPv6's packet too big
};

struct DeliveryError {
  IcmpError why = IcmpError::port_unreachable;
  std::uint32_t mtu = 0;                       // bytes, IP header included: of too_big
  std::optional<std::uint16_t> echo_sequence;  // of the echo request that this is about, where it is known
  bool from_path = true;                       // false: the kernel did not send it in the first place
};

// The reason that an errno stands for, where no more is known. Nothing: not of this kind.
std::optional<DeliveryError> undelivered_for(int error);

// From here on the kernel keeps what ICMP says about the socket's datagrams (IP_RECVERR; ip(7)).
void keep_errors(int socket, bool v6);
// The next one that was kept; nothing when there are no more. Entries of other kinds are passed over.
std::optional<DeliveryError> take_undelivered(int socket);

// What a datagram Connection may be besides: an end that knows why datagrams were lost, or can be told.
class DatagramEnd {
 public:
  // After a read or write that failed: what was lost behind it, one by one.
  virtual std::optional<DeliveryError> next_undelivered() { return std::nullopt; }
  // A datagram that was read here did not arrive. The conversation goes on.
  virtual void report(const DeliveryError&) {}

 protected:
  ~DatagramEnd() = default;
};

}  // namespace nsrun
