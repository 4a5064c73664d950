#include "tests/support/stack_guest.h"

#include <algorithm>

namespace nsrun::test {
namespace {

std::optional<std::uint8_t> scale_of(const Octets& options) {
  for (std::size_t at = 0; at + 1 < options.size();) {
    const auto kind = std::to_integer<int>(options[at]);
    if (kind == 0) break;
    if (kind == 1) {
      ++at;
      continue;
    }
    if (kind == 3) return std::to_integer<std::uint8_t>(options[at + 2]);
    at += std::max<std::size_t>(std::to_integer<std::size_t>(options[at + 1]), 2);
  }
  return std::nullopt;
}

}  // namespace

std::uint16_t GuestTcp::window_field(bool syn) const {
  const auto shift = !syn && scale && their_scale_ ? *scale : 0;
  return static_cast<std::uint16_t>(std::min<std::uint32_t>(window >> shift, 65'535));
}

void GuestTcp::transmit(std::uint32_t sequence, std::uint8_t flags, Bytes bytes, Octets options) {
  TcpFields tcp;
  tcp.sequence = sequence;
  tcp.acknowledged = flags & flag::ack ? their_next_ : 0;
  tcp.flags = flags;
  tcp.window = window_field(flags & flag::syn);
  tcp.options = std::move(options);
  device_.send({tcp_packet(own_, target_, tcp, bytes)});
}

void GuestTcp::syn(Bytes data) {
  constexpr std::uint8_t ecn = 64 | 128;  // ECE, CWR
  transmit(initial_, static_cast<std::uint8_t>(flag::syn | (offers_ecn ? ecn : 0)), data,
           tcp_options(mss, scale));
  next_ = initial_ + 1;
}

void GuestTcp::accept_connection(const Seen& syn) {
  their_first_ = their_next_ = syn.tcp.sequence + 1;
  transmit(initial_, flag::syn | flag::ack, {}, tcp_options(mss, scale));
  their_scale_ = scale_of(syn.tcp.options);
  next_ = initial_ + 1;
  connected = true;
}

void GuestTcp::refuse(const Seen& syn) {
  their_next_ = syn.tcp.sequence + 1;
  transmit(0, flag::rst | flag::ack, {});
}

void GuestTcp::send(Bytes bytes, std::uint8_t flags) {
  transmit(next_, flag::ack | flags, bytes);
  next_ += static_cast<std::uint32_t>(bytes.size());
}

void GuestTcp::send_all(Bytes bytes) {
  for (std::size_t at = 0; at < bytes.size(); at += mss)
    send(bytes.subspan(at, std::min<std::size_t>(mss, bytes.size() - at)));
}

void GuestTcp::segment(std::uint32_t offset, Bytes bytes, std::uint8_t flags, Octets options) {
  transmit(initial_ + 1 + offset, flags, bytes, std::move(options));
}

void GuestTcp::acknowledge() { transmit(next_, flag::ack, {}); }

void GuestTcp::acknowledge(std::uint32_t received_bytes) {
  their_next_ = their_first_ + received_bytes;
  acknowledge();
}

void GuestTcp::finish(Bytes last) {
  transmit(next_, flag::ack | flag::fin, last);
  next_ += static_cast<std::uint32_t>(last.size()) + 1;
}

void GuestTcp::reset() { transmit(next_, flag::rst, {}); }

void GuestTcp::hear(const Seen& segment) {
  seen.push_back(segment);
  const auto& tcp = segment.tcp;
  if (tcp.flags & flag::rst) {
    got_reset = true;
    return;
  }
  if (tcp.flags & flag::ack) {
    if (static_cast<std::int32_t>(tcp.acknowledged - their_ack_) > 0) their_ack_ = tcp.acknowledged;
    const bool syn = tcp.flags & flag::syn;
    offered = std::uint32_t{tcp.window} << (!syn && scale && their_scale_ ? *their_scale_ : 0);
  }
  if (tcp.flags & flag::syn) {
    if (!(tcp.flags & flag::ack)) return;
    their_scale_ = scale_of(tcp.options);
    their_first_ = their_next_ = tcp.sequence + 1;
    connected = true;
    if (acknowledges) acknowledge();
    return;
  }
  take(segment);
}

void GuestTcp::take(const Seen& segment) {
  const auto& tcp = segment.tcp;
  const bool fin = tcp.flags & flag::fin;
  if (segment.payload.empty() && !fin) return;
  const std::uint32_t old = their_next_ - tcp.sequence;  // bytes of it we have
  if (static_cast<std::int32_t>(old) >= 0 && old <= segment.payload.size() && !got_fin) {
    received.insert(received.end(), segment.payload.begin() + old, segment.payload.end());
    their_next_ = tcp.sequence + static_cast<std::uint32_t>(segment.payload.size());
    if (fin) {
      got_fin = true;
      ++their_next_;
    }
  }
  if (acknowledges) acknowledge();
}

}  // namespace nsrun::test
