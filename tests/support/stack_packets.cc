#include "tests/support/stack_packets.h"

#include <algorithm>
#include <random>
#include <stdexcept>

namespace nsrun::test {
namespace {

void put8(Octets& to, std::size_t value) { to.push_back(static_cast<std::byte>(value)); }
void put16(Octets& to, std::size_t value) {
  put8(to, value >> 8);
  put8(to, value);
}
void put32(Octets& to, std::size_t value) {
  put16(to, value >> 16);
  put16(to, value);
}
void put(Octets& to, Bytes bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }
void set16(Octets& bytes, std::size_t at, std::size_t value) {
  bytes[at] = static_cast<std::byte>(value >> 8);
  bytes[at + 1] = static_cast<std::byte>(value);
}

std::uint32_t get(Bytes bytes, std::size_t at, std::size_t count) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value = value << 8 | std::to_integer<std::uint32_t>(bytes[at + i]);
  return value;
}

std::uint32_t plain_sum(Bytes bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    sum += get(bytes, i, 1) << 8;
    if (i + 1 < bytes.size()) sum += get(bytes, i + 1, 1);
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return sum;
}

std::uint32_t pseudo_sum(const IpAddress& from, const IpAddress& to, std::uint8_t protocol,
                         std::size_t length) {
  Octets header;
  put(header, std::as_bytes(std::span(from.data(), from.size())));
  put(header, std::as_bytes(std::span(to.data(), to.size())));
  put32(header, length);
  put32(header, protocol);
  return plain_sum(header);
}

Octets ip_header(const IpFields& ip, std::size_t size, std::uint32_t fragment_word, std::uint32_t id) {
  Octets header;
  if (ip.from.is_v4()) {
    put8(header, 0x40 | ((20 + ip.options.size()) / 4));
    put8(header, 0);
    put16(header, 20 + ip.options.size() + size);
    put16(header, id);
    put16(header, fragment_word);
    put8(header, ip.hop_limit);
    put8(header, ip.protocol);
    put16(header, 0);
    put(header, std::as_bytes(std::span(ip.from.data(), 4)));
    put(header, std::as_bytes(std::span(ip.to.data(), 4)));
    put(header, ip.options);
    set16(header, 10, internet_checksum(header));
    return header;
  }
  put32(header, 0x60000000);
  put16(header, ip.options.size() + size);
  put8(header, ip.options.empty() ? ip.protocol : ip.next_header);
  put8(header, ip.hop_limit);
  put(header, std::as_bytes(std::span(ip.from.data(), 16)));
  put(header, std::as_bytes(std::span(ip.to.data(), 16)));
  put(header, ip.options);
  return header;
}

Octets with_sum(const IpAddress& from, const IpAddress& to, std::uint8_t protocol, Octets transport,
                std::size_t at) {
  const auto start = protocol == 1 ? 0 : pseudo_sum(from, to, protocol, transport.size());
  set16(transport, at, internet_checksum(transport, start));
  return transport;
}

bool transport_sum_good(const Seen& seen, Bytes transport, std::size_t at) {
  const auto pseudo =
      seen.protocol == 1 ? 0 : pseudo_sum(seen.from, seen.to, seen.protocol, transport.size());
  // The device will add the rest to the pseudo-header's sum, which it finds in the field.
  if (seen.offload.flags & Offload::needs_checksum)
    return get(transport, at, 2) == pseudo && seen.offload.checksum_offset == at;
  return internet_checksum(transport, pseudo) == 0;
}

void see_tcp(Seen& seen, Bytes transport) {
  seen.tcp.from = seen.from_port = static_cast<std::uint16_t>(get(transport, 0, 2));
  seen.tcp.to = seen.to_port = static_cast<std::uint16_t>(get(transport, 2, 2));
  seen.tcp.sequence = get(transport, 4, 4);
  seen.tcp.acknowledged = get(transport, 8, 4);
  seen.tcp.flags = static_cast<std::uint8_t>(get(transport, 13, 1));
  seen.tcp.window = static_cast<std::uint16_t>(get(transport, 14, 2));
  const std::size_t header = (get(transport, 12, 1) >> 4) * 4;
  seen.tcp.options.assign(transport.begin() + 20, transport.begin() + static_cast<long>(header));
  seen.payload.assign(transport.begin() + static_cast<long>(header), transport.end());
  seen.sums_good &= transport_sum_good(seen, transport, 16);
}

void see_transport(Seen& seen, Bytes transport) {
  if (seen.protocol == 6) return see_tcp(seen, transport);
  seen.payload.assign(transport.begin() + 8, transport.end());
  if (seen.protocol == 17) {
    seen.from_port = static_cast<std::uint16_t>(get(transport, 0, 2));
    seen.to_port = static_cast<std::uint16_t>(get(transport, 2, 2));
    seen.sums_good &= transport_sum_good(seen, transport, 6) && get(transport, 4, 2) == transport.size();
  } else {
    seen.type = static_cast<std::uint8_t>(get(transport, 0, 1));
    seen.code = static_cast<std::uint8_t>(get(transport, 1, 1));
    seen.identifier = static_cast<std::uint16_t>(get(transport, 4, 2));
    seen.sequence = static_cast<std::uint16_t>(get(transport, 6, 2));
    seen.sums_good &= transport_sum_good(seen, transport, 2);
  }
}

}  // namespace

Octets octets(std::string_view words) {
  const auto bytes = as_bytes(words);
  return {bytes.begin(), bytes.end()};
}

Octets pattern(std::size_t size, std::uint32_t seed) {
  std::minstd_rand random(seed);
  Octets bytes(size);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random() >> 8);
  return bytes;
}

std::string text(Bytes bytes) { return std::string(as_text(bytes)); }

std::uint16_t internet_checksum(Bytes bytes, std::uint32_t start) {
  std::uint32_t sum = plain_sum(bytes) + start;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

Octets ip_packet(const IpFields& ip, Bytes payload) {
  Octets packet = ip_header(ip, payload.size(), 0, 0);
  put(packet, payload);
  return packet;
}

Octets fragment(const IpFields& ip, Bytes piece, std::size_t offset, bool more, std::uint32_t id) {
  if (ip.from.is_v4()) {
    Octets packet =
        ip_header(ip, piece.size(), static_cast<std::uint32_t>((more ? 0x2000 : 0) | offset / 8), id);
    put(packet, piece);
    return packet;
  }
  IpFields with = ip;
  with.next_header = ip.options.empty() ? 44 : ip.next_header;
  put8(with.options, ip.protocol);
  put8(with.options, 0);
  put16(with.options, offset | (more ? 1 : 0));
  put32(with.options, id);
  return ip_packet(with, piece);
}

std::vector<Octets> fragments(const IpFields& ip, Bytes payload, std::size_t piece, std::uint32_t id) {
  std::vector<Octets> all;
  for (std::size_t at = 0; at < payload.size(); at += piece) {
    const auto part = payload.subspan(at, std::min(piece, payload.size() - at));
    all.push_back(fragment(ip, part, at, at + part.size() < payload.size(), id));
  }
  return all;
}

Octets tcp_packet(const Endpoint& from, const Endpoint& to, TcpFields tcp, Bytes payload) {
  Octets segment;
  put16(segment, from.port);
  put16(segment, to.port);
  put32(segment, tcp.sequence);
  put32(segment, tcp.acknowledged);
  put8(segment, (20 + tcp.options.size()) / 4 << 4);
  put8(segment, tcp.flags);
  put16(segment, tcp.window);
  put32(segment, 0);
  put(segment, tcp.options);
  put(segment, payload);
  return ip_packet({from.address, to.address, 6},
                   with_sum(from.address, to.address, 6, std::move(segment), 16));
}

Octets tcp_options(std::uint16_t mss, std::optional<std::uint8_t> window_scale) {
  Octets options;
  put16(options, 0x0204);
  put16(options, mss);
  if (window_scale) put32(options, 0x01030300u | *window_scale);
  return options;
}

Octets udp_datagram(const Endpoint& from, const Endpoint& to, Bytes payload) {
  Octets datagram;
  put16(datagram, from.port);
  put16(datagram, to.port);
  put16(datagram, 8 + payload.size());
  put16(datagram, 0);
  put(datagram, payload);
  return with_sum(from.address, to.address, 17, std::move(datagram), 6);
}

Octets udp_packet(const Endpoint& from, const Endpoint& to, Bytes payload) {
  return ip_packet({from.address, to.address, 17}, udp_datagram(from, to, payload));
}

Octets echo_request(const IpAddress& from, const IpAddress& to, std::uint16_t identifier,
                    std::uint16_t sequence, Bytes data, std::uint8_t hop_limit) {
  const std::uint8_t protocol = from.is_v4() ? 1 : 58;
  Octets message;
  put16(message, from.is_v4() ? 0x0800 : 0x8000);
  put16(message, 0);
  put16(message, identifier);
  put16(message, sequence);
  put(message, data);
  return ip_packet({from, to, protocol, hop_limit}, with_sum(from, to, protocol, std::move(message), 2));
}

Seen see(const Passing& packet) {
  const Bytes bytes = packet.bytes;
  Seen seen;
  seen.offload = packet.offload;
  seen.size = bytes.size();
  const bool v4 = get(bytes, 0, 1) >> 4 == 4;
  const std::size_t header = v4 ? (get(bytes, 0, 1) & 15) * 4 : 40;
  const std::size_t said = v4 ? get(bytes, 2, 2) : 40 + get(bytes, 4, 2);
  if (said != bytes.size()) throw std::runtime_error("the stack wrote a packet of the wrong length");
  seen.from = v4 ? IpAddress::v4_from(&bytes[12]) : IpAddress::v6_from(&bytes[8]);
  seen.to = v4 ? IpAddress::v4_from(&bytes[16]) : IpAddress::v6_from(&bytes[24]);
  seen.protocol = static_cast<std::uint8_t>(get(bytes, v4 ? 9 : 6, 1));
  seen.sums_good = !v4 || internet_checksum(bytes.first(header)) == 0;
  see_transport(seen, bytes.subspan(header));
  return seen;
}

}  // namespace nsrun::test
