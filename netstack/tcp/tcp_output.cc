#include "netstack/tcp/tcp_output.h"

#include <algorithm>
#include <cstring>

#include "netstack/checksum.h"

namespace nsrun {
namespace {

// Where things are in a packet that lwIP made: it puts no options into IPv4's header, nor extensions into
// IPv6's.
struct Layout {
  explicit Layout(const std::byte* bytes) : v4(std::to_integer<int>(bytes[0]) >> 4 == 4) {}
  const bool v4;
  std::uint16_t ip() const { return v4 ? 20 : 40; }
  std::uint16_t tcp(const std::byte* bytes) const {
    return static_cast<std::uint16_t>((std::to_integer<unsigned>(bytes[ip() + 12u]) >> 4) * 4);
  }
  std::uint16_t checksum() const { return static_cast<std::uint16_t>(ip() + 16); }
  // Both addresses (RFC 793 3.1, RFC 8200 8.1), then protocol and length.
  Checksum pseudo_header(const std::byte* bytes, std::uint32_t length) const {
    Checksum sum;
    sum.add(v4 ? Bytes(bytes + 12, 8) : Bytes(bytes + 8, 32));
    sum.add_word(6)
        .add_word(static_cast<std::uint16_t>(length >> 16))
        .add_word(static_cast<std::uint16_t>(length));
    return sum;
  }
};

}  // namespace

void TcpOutput::add(const pbuf& first, std::uint16_t segment_size) {
  Packet& packet = packets_.emplace_back();
  const auto* bytes = static_cast<const std::byte*>(first.payload);
  const Layout layout(bytes);
  packet.header_size = static_cast<std::uint16_t>(layout.ip() + layout.tcp(bytes));
  packet.copied = first.len <= max_copied ? first.len : packet.header_size;
  std::memcpy(packet.front.data(), bytes, packet.copied);
  packet.segment_size = segment_size;
  packet.payload_size = first.tot_len - packet.header_size;
  packet.first_part = static_cast<std::uint32_t>(parts_.size());
  parts_.push_back({});  // the front's, once it stays where it is
  if (first.len > packet.copied)
    parts_.push_back({static_cast<char*>(first.payload) + packet.copied,
                      static_cast<std::size_t>(first.len - packet.copied)});
  for (const pbuf* p = first.next; p; p = p->next) parts_.push_back({p->payload, p->len});
  packet.parts = static_cast<std::uint32_t>(parts_.size()) - packet.first_part;
}

void TcpOutput::write() {
  for (Packet& packet : packets_) write(packet);
  packets_.clear();
  parts_.clear();
}

void TcpOutput::write(Packet& packet) {
  constexpr std::size_t max_parts = 64;  // of one writev
  std::span parts(parts_.data() + packet.first_part, packet.parts);
  parts[0] = {packet.front.data(), packet.copied};
  if (packet.parts > 2 && (packet.parts > max_parts || !device_.offloads())) {
    join(parts.subspan(1));
    parts = parts.first(2);
  }
  const Layout layout(packet.front.data());
  const std::uint32_t length = packet.header_size - layout.ip() + packet.payload_size;
  Checksum sum = layout.pseudo_header(packet.front.data(), length);
  Offload offload;
  std::uint16_t checksum = 0;
  if (device_.offloads()) {
    offload = offload_for(packet, layout.ip(), layout.v4);
    checksum = sum.folded();
  } else {
    std::memset(packet.front.data() + layout.checksum(), 0, sizeof checksum);
    sum.add(Bytes(packet.front).first(packet.copied).subspan(layout.ip()));
    if (parts.size() > 1) sum.add({static_cast<const std::byte*>(parts[1].iov_base), parts[1].iov_len});
    checksum = sum.finished();
  }
  std::memcpy(packet.front.data() + layout.checksum(), &checksum, sizeof checksum);
  device_.write(offload, parts);
}

Offload TcpOutput::offload_for(const Packet& packet, std::uint16_t ip_header, bool v4) {
  Offload offload;
  offload.flags = Offload::needs_checksum;
  offload.checksum_start = ip_header;
  offload.checksum_offset = 16;
  if (packet.segment_size == 0 || packet.payload_size <= packet.segment_size) return offload;
  offload.segmentation = v4 ? Offload::segment_tcp4 : Offload::segment_tcp6;
  offload.segment_size = packet.segment_size;
  offload.header_length = packet.header_size;
  return offload;
}

// Copies the pieces together, into the first one's place.
void TcpOutput::join(std::span<iovec> pieces) {
  joined_.clear();
  for (const iovec& piece : pieces) {
    const auto* begin = static_cast<const std::byte*>(piece.iov_base);
    joined_.insert(joined_.end(), begin, begin + piece.iov_len);
  }
  pieces[0] = {joined_.data(), joined_.size()};
}

}  // namespace nsrun
