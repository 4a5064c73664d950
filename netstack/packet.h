#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "netstack/devices/device.h"
#include "runtime/address.h"
#include "runtime/bytes.h"
#include "runtime/delivery_error.h"
#include "runtime/flow.h"

// IP packets: reading their headers, and building those that answer in a host's or router's place. Here, and
// nowhere above, IPv4 and IPv6 differ.

namespace nsrun {

namespace ip_protocol {
constexpr std::uint8_t icmp = 1, tcp = 6, udp = 17, icmp6 = 58;
}

// A parsed IP packet: a view of bytes that somebody else keeps.
struct Packet {
  MutableBytes bytes;      // the whole packet, exactly
  std::size_t header = 0;  // bytes of IP header, extension headers included
  IpAddress source, target;
  std::uint8_t protocol = 0;   // of the payload
  std::uint8_t hop_limit = 0;  // TTL
  bool dont_fragment = false;  // IPv4's DF
  bool is_fragment = false;    // then the payload is a piece, and these say which
  bool more_fragments = false;
  std::uint32_t fragment_id = 0;
  std::uint32_t fragment_offset = 0;  // bytes
  std::size_t fragment_header = 0;  // where IPv6's fragment header begins; bytes in front are unfragmentable

  MutableBytes payload() const { return bytes.subspan(header); }
  bool is_v4() const { return source.is_v4(); }
  std::uint16_t word(std::size_t at) const;  // of the payload, host order; caller checks the size
};

// Nothing for what is not an IP packet, is cut short, or asks to be source-routed (RFC 791 3.1, RFC 5095).
std::optional<Packet> parse_packet(MutableBytes bytes);

// The flow a TCP or UDP packet, or an echo request, belongs to; nothing when its transport header is cut
// short or it is none of these.
std::optional<FlowKey> flow_key(const Packet& packet);

// TCP header fields (RFC 9293 3.1).
struct TcpFlags {
  static constexpr std::uint8_t fin = 1, syn = 2, reset = 4, push = 8, ack = 16;
};
std::uint8_t tcp_flags(const Packet& packet);
// A SYN that asks for a connection. Other bits may be set: ECE and CWR offer ECN (RFC 3168 6.1.1).
bool is_tcp_request(const Packet& packet);
std::size_t tcp_header_size(const Packet& packet);  // bytes, options included

// A packet of its own with the first `size` bytes of the payload only; the IP header says so.
std::vector<std::byte> beginning_of(const Packet& packet, std::size_t size);

// ---- Answers. Each writes one packet to the device.

// An ICMP or ICMPv6 error about `about`, from `router`, quoting as much as RFC 1812 4.3.2.3 (576 bytes) and
// RFC 4443 3 (1280) allow. No error answers an ICMP error, a later fragment, or a multicast (RFC 1122 3.2.2).
// `mtu`: of too_big, in bytes.
void write_icmp_error(Device& device, IcmpError kind, const IpAddress& router, const Packet& about,
                      std::uint32_t mtu = 0);
// An RST that answers `packet` (RFC 9293 3.10.7.1).
void write_tcp_reset(Device& device, const Packet& packet);
// A UDP datagram, or with segment_size several of that size each in one packet (UDP segmentation offload;
// only where the device offloads). `parts` holds the payload; at most 64 parts.
void write_udp(Device& device, const Endpoint& from, const Endpoint& to, std::span<const iovec> parts,
               std::uint16_t segment_size = 0);
// An echo message whose header (type, code, checksum, identifier, sequence) begins `message`; the checksum is
// made here, the identifier is set.
void write_echo(Device& device, const IpAddress& from, const IpAddress& to, std::uint16_t identifier,
                MutableBytes message);
// An unfragmented IP header for a payload of `size` bytes into `header` (60 bytes at least); its length.
std::size_t make_ip_header(std::byte* header, const IpAddress& from, const IpAddress& to,
                           std::uint8_t protocol, std::size_t size);

}  // namespace nsrun
