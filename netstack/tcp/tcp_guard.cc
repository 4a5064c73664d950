// A guest that is root in its sandbox writes any TCP segment it likes, and lwIP 2.2 takes some facts for
// granted that such a segment can break:
//
//   - Options are whole. lwIP reads an option's length, and then its value, before it compares them with the
//     header's length (tcp_in.c, tcp_parseopt): a header that ends within an option is read past its end. So
//     lwIP gets only options that were checked here.
//   - Options are negotiated once. lwIP reads them in every segment, and expects its own window to be
//     untouched when it finds a window scale (tcp_in.c, "window not at default value"). So only the first SYN
//     has any, or the SYN that answers ours.
//   - Segments queued out of order lie in the receive window. lwIP trims only some of them (tcp_in.c,
//     "ooseq tcplen > rcv_wnd"), and takes a FIN's place to be where all segments say it is. So everything
//     is cut to the window here, and to where the first FIN was.
//   - The largest segment never shrinks below one that is queued (tcp_out.c, "mss_local is too small"). lwIP
//     takes the lesser of the MSS and half the largest window that the guest ever announced, or the MSS alone
//     while that half is 0. So a guest that begins with a closed window counts as having announced a small
//     one.
//   - In SYN_RCVD no SYN comes with an ACK: it would count as a byte of data.
//   - Data is acknowledged or acknowledges. lwIP takes data of segments without ACK, RFC 9293 3.10.7.4 drops
//     them.
//   - The persist timer stops when its data is gone (tcp.c, "persist ticking with empty send buffer"). It
//     does not, when a one-byte probe was all there was to send, and is acknowledged.

#include "netstack/tcp/tcp_guard.h"

#include <algorithm>

#include "lwip/priv/tcp_priv.h"
#include "netstack/packet.h"

namespace nsrun {
namespace {

constexpr std::size_t sequence_at = 4, acknowledged_at = 8, offset_at = 12, flags_at = 13, fixed_header = 20;
constexpr std::byte no_operation{1}, fin{TcpFlags::fin};

std::uint32_t number_at(Bytes segment, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | std::to_integer<std::uint32_t>(segment[at + i]);
  return value;
}

MutableBytes options_of(MutableBytes segment) {
  const std::size_t header = (std::to_integer<std::size_t>(segment[offset_at]) >> 4) * 4;
  return segment.first(header).subspan(fixed_header);
}

void blank(MutableBytes options) { std::fill(options.begin(), options.end(), no_operation); }

// Leaves the two options that lwIP knows, MSS and window scale, where they have their length and lie within
// the header (RFC 9293 3.1, RFC 7323 2.2). What follows a malformed option is not read (as in Linux).
void blank_all_but_negotiable(MutableBytes options) {
  constexpr std::size_t end = 0, skip = 1, mss = 2, mss_length = 4, window_scale = 3, window_scale_length = 3;
  const auto byte = [&](std::size_t at) { return std::to_integer<std::size_t>(options[at]); };
  while (!options.empty() && byte(0) != end) {
    if (byte(0) == skip) {
      options = options.subspan(1);
      continue;
    }
    const std::size_t length = options.size() > 1 ? byte(1) : 0;
    if (length < 2 || length > options.size()) break;
    const bool negotiable = (byte(0) == mss && length == mss_length) ||
                            (byte(0) == window_scale && length == window_scale_length);
    if (!negotiable) blank(options.first(length));
    options = options.subspan(length);
  }
  blank(options);
}

// Bytes from `from` on to `to`; 0 when it lies behind (RFC 9293 3.4: modulo 2^32).
std::uint32_t distance(std::uint32_t from, std::uint32_t to) {
  const auto bytes = static_cast<std::int32_t>(to - from);
  return bytes > 0 ? static_cast<std::uint32_t>(bytes) : 0;
}

}  // namespace

void TcpGuard::admit_first_syn(MutableBytes segment) { blank_all_but_negotiable(options_of(segment)); }

bool TcpGuard::admit(const tcp_pcb& pcb, MutableBytes& segment) {
  const auto flags = std::to_integer<std::uint8_t>(segment[flags_at]);
  const bool acknowledges = flags & TcpFlags::ack;
  const bool answers_our_syn = pcb.state == SYN_SENT && (flags & TcpFlags::syn) && acknowledges &&
                               number_at(segment, acknowledged_at) == pcb.snd_nxt;
  answers_our_syn ? blank_all_but_negotiable(options_of(segment)) : blank(options_of(segment));
  if (flags & TcpFlags::reset) return true;
  if (flags & TcpFlags::syn) return pcb.state != SYN_RCVD || !acknowledges;
  return acknowledges && fit_data(pcb, segment);
}

// Cuts data and FIN to the window, and to the place of the first FIN.
bool TcpGuard::fit_data(const tcp_pcb& pcb, MutableBytes& segment) {
  const std::size_t header = fixed_header + options_of(segment).size();
  bool finishes = (segment[flags_at] & fin) != std::byte{};
  if (segment.size() == header && !finishes) return true;

  const std::uint32_t begin = number_at(segment, sequence_at), right_edge = pcb.rcv_nxt + pcb.rcv_wnd;
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

void settle_largest_segment(tcp_pcb& pcb) {
  constexpr tcpwnd_size_t min_window = 2 * 536;  // bytes: two segments of the default MSS (RFC 9293 3.7.1)
  if (pcb.snd_wnd_max / 2 == 0) pcb.snd_wnd_max = min_window;
}

void settle_persist_timer(tcp_pcb& pcb) {
  if (!pcb.unsent || pcb.unacked) pcb.persist_backoff = 0;
}

}  // namespace nsrun
