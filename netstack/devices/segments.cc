#include "netstack/devices/segments.h"

#include <algorithm>
#include <cstring>

#include "netstack/checksum.h"
#include "netstack/packet.h"

namespace nsrun {
namespace {

constexpr std::size_t udp_header = 8, min_tcp_header = 20, min_ip_header = 20, ip6_header = 40;  // bytes
constexpr std::size_t max_packet_segments =
    2048;  // of a packet: Linux's least MSS, 48 bytes, makes 1,366 of 64 KiB

void write_word(std::vector<std::byte>& into, std::size_t at, std::size_t value) {
  into[at] = static_cast<std::byte>(value >> 8);
  into[at + 1] = static_cast<std::byte>(value);
}

std::size_t read_word(Bytes from, std::size_t at) {
  return std::to_integer<std::size_t>(from[at]) << 8 | std::to_integer<std::size_t>(from[at + 1]);
}

// Where the headers of one packet are.
struct Headers {
  bool v4 = false, tcp = false;
  std::size_t transport = 0, payload = 0;  // where they begin
};

std::optional<Headers> headers_of(Bytes packet, const Offload& offload) {
  Headers headers;
  headers.transport = offload.checksum_start;
  headers.tcp = offload.segmentation != Offload::segment_udp;
  if (headers.transport < min_ip_header ||
      packet.size() < headers.transport + (headers.tcp ? min_tcp_header : udp_header))
    return std::nullopt;
  headers.v4 = (packet[0] >> 4) == std::byte{4};
  if (!headers.v4 && headers.transport < ip6_header) return std::nullopt;
  const auto tcp_header =
      headers.tcp ? (std::to_integer<std::size_t>(packet[headers.transport + 12]) >> 4) * 4 : min_tcp_header;
  headers.payload = headers.transport + (headers.tcp ? tcp_header : udp_header);
  if (tcp_header < min_tcp_header || headers.payload > packet.size() ||
      packet.size() - headers.payload > max_packet_segments * offload.segment_size)
    return std::nullopt;
  return headers;
}

void fit_ip(std::vector<std::byte>& made, const Headers& headers, std::size_t number) {
  if (!headers.v4) return write_word(made, 4, made.size() - ip6_header);
  write_word(made, 2, made.size());
  write_word(made, 4, read_word(made, 4) + number);
  write_word(made, 10, 0);
  const auto length = std::min((std::to_integer<std::size_t>(made[0]) & 0xf) * 4, headers.transport);
  const std::uint16_t sum = Checksum().add(Bytes(made).first(length)).finished();
  std::memcpy(&made[10], &sum, sizeof sum);
}

void fit_tcp(std::vector<std::byte>& made, std::size_t transport, std::size_t offset, bool is_last) {
  const auto sequence = (read_word(made, transport + 4) << 16 | read_word(made, transport + 6)) + offset;
  write_word(made, transport + 4, sequence >> 16);
  write_word(made, transport + 6, sequence);
  if (!is_last) made[transport + 13] &= ~std::byte{TcpFlags::fin | TcpFlags::push};
}

// The pseudo-header's sum, where the checksum goes.
void fit_sum(std::vector<std::byte>& made, const Headers& headers, std::size_t at) {
  const auto length = made.size() - headers.transport;
  Checksum sum;
  sum.add(headers.v4 ? Bytes(made).subspan(12, 8) : Bytes(made).subspan(8, 32));
  sum.add_word(headers.tcp ? ip_protocol::tcp : ip_protocol::udp);
  const std::uint16_t folded = sum.add_word(static_cast<std::uint16_t>(length)).folded();
  std::memcpy(&made[headers.transport + at], &folded, sizeof folded);
}

}  // namespace

std::vector<Segment> segments_of(Bytes packet, const Offload& offload) {
  std::vector<Segment> segments;
  if (offload.segmentation == 0) {
    segments.push_back({{packet.begin(), packet.end()}, offload});
    return segments;
  }
  const auto headers = headers_of(packet, offload);
  if (!headers) return segments;
  const Bytes payload = packet.subspan(headers->payload);
  for (std::size_t offset = 0; offset < payload.size(); offset += offload.segment_size) {
    const Bytes piece =
        payload.subspan(offset, std::min<std::size_t>(offload.segment_size, payload.size() - offset));
    Segment segment{{packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(headers->payload)}};
    auto& made = segment.bytes;
    made.insert(made.end(), piece.begin(), piece.end());
    fit_ip(made, *headers, segments.size());
    if (headers->tcp) fit_tcp(made, headers->transport, offset, offset + piece.size() == payload.size());
    if (!headers->tcp) write_word(made, headers->transport + 4, made.size() - headers->transport);
    fit_sum(made, *headers, headers->tcp ? 16 : 6);
    segment.offload.flags = Offload::needs_checksum;
    segment.offload.checksum_start = offload.checksum_start;
    segment.offload.checksum_offset = headers->tcp ? 16 : 6;
    segments.push_back(std::move(segment));
  }
  return segments;
}

}  // namespace nsrun
