#pragma once

#include <optional>
#include <vector>

#include "runtime/address.h"
#include "runtime/bytes.h"
#include "tests/support/stack_device.h"

// IP packets as the tests see them: made and read by code of their own, so that a mistake in netstack's
// codecs does not answer itself.

namespace nsrun::test {

using Octets = std::vector<std::byte>;

Octets octets(std::string_view text);
Octets pattern(std::size_t size, std::uint32_t seed = 1);  // bytes that differ from their neighbours
std::string text(Bytes bytes);

struct IpFields {
  IpAddress from, to;
  std::uint8_t protocol = 0;
  std::uint8_t hop_limit = 64;
  Octets options = {};  // IPv4's, or whole IPv6 extension headers (then next_header names the first)
  std::uint8_t next_header = 0;
};
Octets ip_packet(const IpFields& ip, Bytes payload);
// The packet in pieces of at most `piece` bytes of payload (a multiple of 8).
std::vector<Octets> fragments(const IpFields& ip, Bytes payload, std::size_t piece, std::uint32_t id);
// One fragment, as the test likes it.
Octets fragment(const IpFields& ip, Bytes piece, std::size_t offset, bool more, std::uint32_t id);

struct TcpFields {
  std::uint16_t from = 0, to = 0;
  std::uint32_t sequence = 0, acknowledged = 0;
  std::uint8_t flags = 0;
  std::uint16_t window = 65'535;  // as on the wire
  Octets options = {};            // a multiple of 4 bytes
};
namespace flag {
constexpr std::uint8_t fin = 1, syn = 2, rst = 4, psh = 8, ack = 16, urg = 32;
}
Octets tcp_packet(const Endpoint& from, const Endpoint& to, TcpFields tcp, Bytes payload = {});
Octets tcp_options(std::uint16_t mss, std::optional<std::uint8_t> window_scale);
Octets udp_packet(const Endpoint& from, const Endpoint& to, Bytes payload);
Octets udp_datagram(const Endpoint& from, const Endpoint& to, Bytes payload);  // without its IP header
Octets echo_request(const IpAddress& from, const IpAddress& to, std::uint16_t identifier,
                    std::uint16_t sequence, Bytes data, std::uint8_t hop_limit = 64);

// What the guest got.
struct Seen {
  IpAddress from, to;
  std::uint8_t protocol = 0;
  Offload offload = {};
  bool sums_good = false;  // every checksum is right, or as the offload wants it
  TcpFields tcp = {};
  std::uint16_t from_port = 0, to_port = 0;    // tcp, udp
  std::uint8_t type = 0, code = 0;             // icmp
  std::uint16_t identifier = 0, sequence = 0;  // icmp echo
  Octets payload = {};                         // behind the transport header
  std::size_t size = 0;                        // of the whole packet
  bool is_icmp() const { return protocol == 1 || protocol == 58; }
};
Seen see(const Passing& packet);

std::uint16_t internet_checksum(Bytes bytes, std::uint32_t start = 0);

}  // namespace nsrun::test
