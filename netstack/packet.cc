#include "netstack/packet.h"

#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "netstack/checksum.h"

namespace nsrun {
namespace {

constexpr std::uint8_t hop_by_hop = 0, routing = 43, fragment = 44, destination_options = 60;

std::uint8_t byte_at(Bytes bytes, std::size_t at) { return std::to_integer<std::uint8_t>(bytes[at]); }
std::uint16_t word_at(Bytes bytes, std::size_t at) {
  return static_cast<std::uint16_t>(byte_at(bytes, at) << 8 | byte_at(bytes, at + 1));
}
std::uint32_t long_at(Bytes bytes, std::size_t at) {
  return std::uint32_t{word_at(bytes, at)} << 16 | word_at(bytes, at + 2);
}

bool source_routed(Bytes options) {
  constexpr std::uint8_t end = 0, no_operation = 1, loose_route = 131, strict_route = 137;
  for (std::size_t at = 0; at < options.size();) {
    const auto kind = byte_at(options, at);
    if (kind == end) return false;
    if (kind == no_operation) {
      ++at;
      continue;
    }
    if (kind == loose_route || kind == strict_route) return true;
    if (at + 1 >= options.size() || byte_at(options, at + 1) < 2) return true;  // malformed: treat as bad
    at += byte_at(options, at + 1);
  }
  return false;
}

std::optional<Packet> parse_v4(MutableBytes bytes) {
  if (bytes.size() < 20) return std::nullopt;
  const std::size_t header = (byte_at(bytes, 0) & 15) * 4u;
  const std::size_t total = word_at(bytes, 2);
  if (header < 20 || total < header || total > bytes.size()) return std::nullopt;
  if (header > 20 && source_routed(bytes.subspan(20, header - 20))) return std::nullopt;
  Packet packet;
  packet.bytes = bytes.first(total);
  packet.header = header;
  packet.source = IpAddress::v4_from(&bytes[12]);
  packet.target = IpAddress::v4_from(&bytes[16]);
  packet.protocol = byte_at(bytes, 9);
  packet.hop_limit = byte_at(bytes, 8);
  const auto fragment_word = word_at(bytes, 6);
  packet.dont_fragment = fragment_word & 0x4000;
  packet.more_fragments = fragment_word & 0x2000;
  packet.fragment_offset = (fragment_word & 0x1fff) * 8u;
  packet.is_fragment = packet.more_fragments || packet.fragment_offset != 0;
  packet.fragment_id = word_at(bytes, 4);
  return packet;
}

// Walks the extension headers (RFC 8200 4) to the transport header. False: malformed, or source-routed.
bool walk_extensions(Packet& packet) {
  for (;;) {
    const auto at = packet.header;
    const auto kind = packet.protocol;
    if (kind != hop_by_hop && kind != routing && kind != fragment && kind != destination_options) return true;
    if (at + 8 > packet.bytes.size()) return false;
    if (kind == routing && byte_at(packet.bytes, at + 3) != 0) return false;  // segments left
    packet.protocol = byte_at(packet.bytes, at);
    if (kind == fragment) {
      const auto word = word_at(packet.bytes, at + 2);
      packet.fragment_offset = word & 0xfff8;
      packet.more_fragments = word & 1;
      packet.is_fragment = packet.more_fragments || packet.fragment_offset != 0;
      packet.fragment_id = long_at(packet.bytes, at + 4);
      packet.fragment_header = at;
      packet.header += 8;
      if (packet.is_fragment) return true;
    } else {
      packet.header += (byte_at(packet.bytes, at + 1) + 1) * 8u;
      if (packet.header > packet.bytes.size()) return false;
    }
  }
}

std::optional<Packet> parse_v6(MutableBytes bytes) {
  if (bytes.size() < 40) return std::nullopt;
  const std::size_t total = 40u + word_at(bytes, 4);
  if (total > bytes.size()) return std::nullopt;
  Packet packet;
  packet.bytes = bytes.first(total);
  packet.header = 40;
  packet.source = IpAddress::v6_from(&bytes[8]);
  packet.target = IpAddress::v6_from(&bytes[24]);
  // An IPv4-mapped address on the wire would take the guise of an IPv4 one in our one address type.
  if (packet.source.is_v4() || packet.target.is_v4()) return std::nullopt;
  packet.protocol = byte_at(bytes, 6);
  packet.hop_limit = byte_at(bytes, 7);
  if (!walk_extensions(packet)) return std::nullopt;
  return packet;
}

bool is_echo_request(const Packet& packet) {
  if (packet.payload().size() < 8) return false;
  const auto type = byte_at(packet.payload(), 0);
  if (packet.protocol == ip_protocol::icmp) return packet.is_v4() && type == ICMP_ECHO;
  return packet.protocol == ip_protocol::icmp6 && !packet.is_v4() && type == ICMP6_ECHO_REQUEST;
}

void put_word(std::byte* at, std::uint16_t host_order) {
  at[0] = static_cast<std::byte>(host_order >> 8);
  at[1] = static_cast<std::byte>(host_order);
}
void put_long(std::byte* at, std::uint32_t host_order) {
  put_word(at, static_cast<std::uint16_t>(host_order >> 16));
  put_word(at + 2, static_cast<std::uint16_t>(host_order));
}
void put_raw_word(std::byte* at, std::uint16_t network_order) { std::memcpy(at, &network_order, 2); }

bool may_be_answered_with_error(const Packet& about) {
  if (about.source.is_unspecified() || about.source.is_multicast() || about.target.is_multicast())
    return false;
  if (about.fragment_offset != 0) return false;
  if (about.protocol == ip_protocol::icmp || about.protocol == ip_protocol::icmp6)
    return is_echo_request(about);
  return true;
}

struct TypeAndCode {
  std::uint8_t type, code;
};

TypeAndCode icmp_code(IcmpError kind, bool v4) {
  switch (kind) {
    case IcmpError::network_unreachable:
      return v4 ? TypeAndCode{ICMP_UNREACH, ICMP_UNREACH_NET}
                : TypeAndCode{ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOROUTE};
    case IcmpError::host_unreachable:
      return v4 ? TypeAndCode{ICMP_UNREACH, ICMP_UNREACH_HOST}
                : TypeAndCode{ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADDR};
    case IcmpError::port_unreachable:
      return v4 ? TypeAndCode{ICMP_UNREACH, ICMP_UNREACH_PORT}
                : TypeAndCode{ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOPORT};
    case IcmpError::prohibited:
      return v4 ? TypeAndCode{ICMP_UNREACH, ICMP_UNREACH_FILTER_PROHIB}
                : TypeAndCode{ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADMIN};
    case IcmpError::time_exceeded:
      return v4 ? TypeAndCode{ICMP_TIMXCEED, ICMP_TIMXCEED_INTRANS}
                : TypeAndCode{ICMP6_TIME_EXCEEDED, ICMP6_TIME_EXCEED_TRANSIT};
    case IcmpError::too_big:
      return v4 ? TypeAndCode{ICMP_UNREACH, ICMP_UNREACH_NEEDFRAG} : TypeAndCode{ICMP6_PACKET_TOO_BIG, 0};
  }
  return {ICMP_UNREACH, ICMP_UNREACH_HOST};
}

}  // namespace

std::uint16_t Packet::word(std::size_t at) const { return word_at(payload(), at); }

std::optional<Packet> parse_packet(MutableBytes bytes) {
  if (bytes.empty()) return std::nullopt;
  const auto version = byte_at(bytes, 0) >> 4;
  if (version == 4) return parse_v4(bytes);
  if (version == 6) return parse_v6(bytes);
  return std::nullopt;
}

std::optional<FlowKey> flow_key(const Packet& packet) {
  const auto payload = packet.payload();
  if (packet.protocol == ip_protocol::tcp) {
    if (payload.size() < 20) return std::nullopt;
    const std::size_t tcp_header = (byte_at(payload, 12) >> 4) * 4u;
    if (tcp_header < 20 || tcp_header > payload.size()) return std::nullopt;
    return FlowKey{Protocol::tcp, {packet.source, packet.word(0)}, {packet.target, packet.word(2)}};
  }
  if (packet.protocol == ip_protocol::udp) {
    if (payload.size() < 8) return std::nullopt;
    return FlowKey{Protocol::udp, {packet.source, packet.word(0)}, {packet.target, packet.word(2)}};
  }
  if (is_echo_request(packet))
    return FlowKey{Protocol::icmp, {packet.source, packet.word(4)}, {packet.target, 0}};
  return std::nullopt;
}

std::uint8_t tcp_flags(const Packet& packet) { return byte_at(packet.payload(), 13); }

bool is_tcp_request(const Packet& packet) {
  constexpr auto kind = TcpFlags::syn | TcpFlags::ack | TcpFlags::reset | TcpFlags::fin;
  return (tcp_flags(packet) & kind) == TcpFlags::syn;
}

std::size_t tcp_header_size(const Packet& packet) { return (byte_at(packet.payload(), 12) >> 4) * 4u; }

std::vector<std::byte> beginning_of(const Packet& packet, std::size_t size) {
  const auto part = packet.bytes.first(packet.header + size);
  std::vector<std::byte> bytes(part.begin(), part.end());
  if (packet.is_v4()) {
    put_word(&bytes[2], static_cast<std::uint16_t>(bytes.size()));
    put_word(&bytes[10], 0);
    put_raw_word(&bytes[10], Checksum().add(Bytes(bytes).first(packet.header)).finished());
  } else {
    put_word(&bytes[4], static_cast<std::uint16_t>(bytes.size() - 40));
  }
  return bytes;
}

std::size_t make_ip_header(std::byte* header, const IpAddress& from, const IpAddress& to,
                           std::uint8_t protocol, std::size_t size) {
  constexpr std::uint8_t hops = 64;
  if (from.is_v4()) {
    std::memset(header, 0, 20);
    header[0] = std::byte{0x45};
    put_word(header + 2, static_cast<std::uint16_t>(20 + size));
    put_word(header + 6, 0x4000);  // don't fragment: the identification may then be 0 (RFC 6864 4.1)
    header[8] = std::byte{hops};
    header[9] = std::byte{protocol};
    std::memcpy(header + 12, from.data(), 4);
    std::memcpy(header + 16, to.data(), 4);
    put_raw_word(header + 10, Checksum().add({header, 20}).finished());
    return 20;
  }
  std::memset(header, 0, 8);
  header[0] = std::byte{0x60};
  put_word(header + 4, static_cast<std::uint16_t>(size));
  header[6] = std::byte{protocol};
  header[7] = std::byte{hops};
  std::memcpy(header + 8, from.data(), 16);
  std::memcpy(header + 24, to.data(), 16);
  return 40;
}

void write_icmp_error(Device& device, IcmpError kind, const IpAddress& router, const Packet& about,
                      std::uint32_t mtu) {
  if (!may_be_answered_with_error(about)) return;
  const bool v4 = about.is_v4();
  const std::size_t quote_limit = v4 ? 576 - 20 - 8 : 1280 - 40 - 8;
  const Bytes quote = about.bytes.first(std::min(about.bytes.size(), quote_limit));
  std::array<std::byte, 48> head{};
  const std::size_t size = 8 + quote.size();
  const auto protocol = v4 ? ip_protocol::icmp : ip_protocol::icmp6;
  const std::size_t ip = make_ip_header(head.data(), router, about.source, protocol, size);
  std::byte* icmp = head.data() + ip;
  const auto [type, code] = icmp_code(kind, v4);
  icmp[0] = std::byte{type};
  icmp[1] = std::byte{code};
  // RFC 1191 4 has 16 bits for it, RFC 4443 3.2 has 32.
  if (kind == IcmpError::too_big) put_long(icmp + 4, v4 ? std::min<std::uint32_t>(mtu, 0xffff) : mtu);
  Checksum sum;
  if (!v4) sum.add_pseudo_header(router, about.source, protocol, static_cast<std::uint32_t>(size));
  put_raw_word(icmp + 2, sum.add({icmp, 8}).add(quote).finished());
  const iovec parts[2] = {{head.data(), ip + 8}, {const_cast<std::byte*>(quote.data()), quote.size()}};
  device.write({}, parts);
}

void write_tcp_reset(Device& device, const Packet& packet) {
  const auto flags = tcp_flags(packet);
  if (flags & TcpFlags::reset) return;
  const Bytes tcp = packet.payload();
  const std::size_t data = tcp.size() - tcp_header_size(packet);
  const std::uint32_t length = static_cast<std::uint32_t>(data) + ((flags & TcpFlags::syn) ? 1 : 0) +
                               ((flags & TcpFlags::fin) ? 1 : 0);
  std::array<std::byte, 60> head{};
  const std::size_t ip = make_ip_header(head.data(), packet.target, packet.source, ip_protocol::tcp, 20);
  std::byte* reset = head.data() + ip;
  put_word(reset, packet.word(2));
  put_word(reset + 2, packet.word(0));
  if (flags & TcpFlags::ack) {
    put_long(reset + 4, long_at(tcp, 8));
    reset[13] = std::byte{TcpFlags::reset};
  } else {
    put_long(reset + 8, long_at(tcp, 4) + length);
    reset[13] = std::byte{TcpFlags::reset | TcpFlags::ack};
  }
  reset[12] = std::byte{5 << 4};
  Checksum sum;
  sum.add_pseudo_header(packet.target, packet.source, ip_protocol::tcp, 20).add({reset, 20});
  put_raw_word(reset + 16, sum.finished());
  const iovec part{head.data(), ip + 20};
  device.write({}, {&part, 1});
}

void write_udp(Device& device, const Endpoint& from, const Endpoint& to, std::span<const iovec> parts,
               std::uint16_t segment_size) {
  std::size_t payload = 0;
  for (const auto& part : parts) payload += part.iov_len;
  const std::size_t size = 8 + payload;
  std::array<std::byte, 48> head{};
  const std::size_t ip = make_ip_header(head.data(), from.address, to.address, ip_protocol::udp, size);
  std::byte* udp = head.data() + ip;
  put_word(udp, from.port);
  put_word(udp + 2, to.port);
  put_word(udp + 4, static_cast<std::uint16_t>(size));
  Checksum sum;
  sum.add_pseudo_header(from.address, to.address, ip_protocol::udp, static_cast<std::uint32_t>(size));

  Offload offload;
  if (device.offloads()) {
    offload.flags = Offload::needs_checksum;
    offload.checksum_start = static_cast<std::uint16_t>(ip);
    offload.checksum_offset = 6;
    put_raw_word(udp + 6, sum.folded());
    if (segment_size != 0 && payload > segment_size) {
      offload.segmentation = Offload::segment_udp;
      offload.segment_size = segment_size;
      offload.header_length = static_cast<std::uint16_t>(ip + 8);
    }
  } else {
    sum.add({udp, 8});
    // Only the last part may be of odd length; where the device offloads nothing we write one part.
    for (const auto& part : parts) sum.add({static_cast<const std::byte*>(part.iov_base), part.iov_len});
    const auto finished = sum.finished();
    put_raw_word(udp + 6, finished == 0 ? 0xffff : finished);  // 0 means "none" (RFC 768)
  }
  std::array<iovec, 65> all;
  all[0] = {head.data(), ip + 8};
  const std::size_t count = std::min<std::size_t>(parts.size(), 64);
  std::copy_n(parts.begin(), count, all.begin() + 1);
  device.write(offload, {all.data(), count + 1});
}

void write_echo(Device& device, const IpAddress& from, const IpAddress& to, std::uint16_t identifier,
                MutableBytes message) {
  const bool v4 = from.is_v4();
  const auto protocol = v4 ? ip_protocol::icmp : ip_protocol::icmp6;
  put_word(&message[4], identifier);
  put_word(&message[2], 0);
  Checksum sum;
  if (!v4) sum.add_pseudo_header(from, to, protocol, static_cast<std::uint32_t>(message.size()));
  put_raw_word(&message[2], sum.add(message).finished());
  std::array<std::byte, 40> head{};
  const std::size_t ip = make_ip_header(head.data(), from, to, protocol, message.size());
  const iovec parts[2] = {{head.data(), ip}, {message.data(), message.size()}};
  device.write({}, parts);
}

}  // namespace nsrun
