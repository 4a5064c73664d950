// A guest that is root in its sandbox writes any TCP segment it likes, and lwIP 2.2 takes some facts for
// granted that such a segment can break:
//
//   - Segments queued out of order lie in the receive window. lwIP trims only some of them (tcp_in.c,
//     "ooseq tcplen > rcv_wnd"), and takes a FIN's place to be where all segments say it is. So everything
//     is cut to the window here, and to where the first FIN was.
//   - The MSS never shrinks below a segment that is queued (tcp_out.c, "mss_local is too small"). lwIP
//     heeds the option in any segment, RFC 9293 3.7.1 only in a SYN. So all others lose their options.
//   - In SYN_RCVD no SYN comes with an ACK: it would count as a byte of data.
//   - The persist timer stops when its data is gone (tcp.c, "persist ticking with empty send buffer"). It
//     does not, when a one-byte probe was all there was to send, and is acknowledged.

#include "netstack/tcp/tcp_guard.h"

#include <algorithm>

#include "lwip/priv/tcp_priv.h"
#include "netstack/packet.h"

namespace nsrun {
namespace {

constexpr std::size_t sequence_at = 4, offset_at = 12, flags_at = 13, fixed_header = 20;
constexpr std::byte no_operation{1}, fin{TcpFlags::fin};

std::uint32_t sequence_of(Bytes segment) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i)
    value = value << 8 | std::to_integer<std::uint32_t>(segment[sequence_at + i]);
  return value;
}

// Bytes from `from` on to `to`; 0 when it lies behind (RFC 9293 3.4: modulo 2^32).
std::uint32_t distance(std::uint32_t from, std::uint32_t to) {
  const auto bytes = static_cast<std::int32_t>(to - from);
  return bytes > 0 ? static_cast<std::uint32_t>(bytes) : 0;
}

}  // namespace

bool TcpGuard::admit(const tcp_pcb& pcb, MutableBytes& segment) {
  const std::size_t header = (std::to_integer<std::size_t>(segment[offset_at]) >> 4) * 4;
  const auto flags = std::to_integer<std::uint8_t>(segment[flags_at]);
  if (flags & TcpFlags::syn) return pcb.state != SYN_RCVD || !(flags & TcpFlags::ack);
  std::fill(segment.begin() + fixed_header, segment.begin() + static_cast<long>(header), no_operation);
  bool finishes = flags & TcpFlags::fin;
  if ((flags & TcpFlags::reset) || (segment.size() == header && !finishes)) return true;

  const std::uint32_t begin = sequence_of(segment), right_edge = pcb.rcv_nxt + pcb.rcv_wnd;
  auto size = static_cast<std::uint32_t>(segment.size() - header);
  const auto cut_at = [&](std::uint32_t edge) {
    if (distance(edge, begin + size) == 0) return;
    size = std::min(size, distance(begin, edge));
    finishes = false;
  };
  if (fin_) {
    cut_at(*fin_);
    finishes &= begin + size == *fin_;
  }
  cut_at(right_edge);
  finishes &= begin + size != right_edge;  // a FIN takes a place of its own
  if (finishes && static_cast<std::int32_t>(begin + size - pcb.rcv_nxt) >= 0) fin_ = begin + size;
  if (!finishes) segment[flags_at] &= ~fin;
  segment = segment.first(header + size);
  return true;
}

void settle_persist_timer(tcp_pcb& pcb) {
  if (!pcb.unsent || pcb.unacked) pcb.persist_backoff = 0;
}

}  // namespace nsrun
