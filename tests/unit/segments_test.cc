#include <cstring>
#include "tests/support/catch.h"

#include "netstack/checksum.h"
#include "netstack/devices/segments.h"
#include "netstack/packet.h"

namespace nsrun {
namespace {

const auto from4 = *IpAddress::parse("10.0.2.100"), to4 = *IpAddress::parse("192.0.2.1");
const auto from6 = *IpAddress::parse("fd00::100"), to6 = *IpAddress::parse("2001:db8::1");

constexpr std::uint32_t first_byte = 0xfffffff0;  // sequence numbers wrap inside the packet

// A packet of `size` payload bytes with FIN and PSH, as segmentation offload would put it together.
std::vector<std::byte> large_packet(bool v4, std::uint8_t protocol, std::size_t size) {
  const std::size_t transport = protocol == ip_protocol::tcp ? 20 : 8;
  std::vector<std::byte> packet(60);
  const auto header =
      make_ip_header(packet.data(), v4 ? from4 : from6, v4 ? to4 : to6, protocol, transport + size);
  packet.resize(header);
  packet.resize(header + transport);
  if (protocol == ip_protocol::tcp) {
    for (int i = 0; i < 4; ++i)
      packet[header + 4 + static_cast<std::size_t>(i)] = static_cast<std::byte>(first_byte >> (24 - 8 * i));
    packet[header + 12] = std::byte{5 << 4};
    packet[header + 13] = std::byte{TcpFlags::ack | TcpFlags::fin | TcpFlags::push};
  }
  for (std::size_t i = 0; i < size; ++i) packet.push_back(static_cast<std::byte>(i * 7));
  return packet;
}

Offload offload_of(bool v4, std::uint8_t protocol, std::uint16_t segment) {
  Offload offload;
  offload.flags = Offload::needs_checksum;
  offload.segmentation = protocol == ip_protocol::udp ? Offload::segment_udp
                         : v4                         ? Offload::segment_tcp4
                                                      : Offload::segment_tcp6;
  offload.segment_size = segment;
  offload.checksum_start = v4 ? 20 : 40;
  offload.checksum_offset = protocol == ip_protocol::udp ? 6 : 16;
  return offload;
}

TEST_CASE("a large packet is taken apart into what the kernel would make of it") {
  for (const bool v4 : {true, false}) {
    for (const auto protocol : {ip_protocol::tcp, ip_protocol::udp}) {
      auto large = large_packet(v4, protocol, 3000);
      const auto segments = segments_of(large, offload_of(v4, protocol, 1400));
      REQUIRE(segments.size() == 3);
      std::vector<std::byte> payload;
      for (std::size_t i = 0; i < segments.size(); ++i) {
        auto bytes = segments[i].bytes;
        const auto packet = parse_packet(bytes);
        REQUIRE(packet);
        CHECK(packet->bytes.size() == bytes.size());
        CHECK(packet->target == (v4 ? to4 : to6));
        CHECK(segments[i].offload.segmentation == 0);
        CHECK(segments[i].offload.flags == Offload::needs_checksum);
        const std::size_t header = protocol == ip_protocol::tcp ? 20 : 8;
        if (protocol == ip_protocol::tcp) {
          const auto sequence = std::uint32_t{packet->word(4)} << 16 | packet->word(6);
          CHECK(sequence == static_cast<std::uint32_t>(first_byte + i * 1400));
          CHECK(((tcp_flags(*packet) & (TcpFlags::fin | TcpFlags::push)) != 0) == (i == 2));
        } else {
          CHECK(packet->word(4) == packet->payload().size());
        }
        if (v4) CHECK(Checksum().add(Bytes(bytes).first(20)).finished() == 0);
        // What the kernel completes: the pseudo-header's sum.
        Checksum pseudo;
        pseudo.add_pseudo_header(packet->source, packet->target, protocol,
                                 static_cast<std::uint32_t>(packet->payload().size()));
        std::uint16_t sum = 0;
        std::memcpy(&sum, &packet->payload()[segments[i].offload.checksum_offset], sizeof sum);
        CHECK(sum == pseudo.folded());
        const auto rest = packet->payload().subspan(header);
        payload.insert(payload.end(), rest.begin(), rest.end());
      }
      CHECK(payload == std::vector<std::byte>(large.end() - 3000, large.end()));
    }
  }
}

TEST_CASE("a packet that is none together with others stays as it is") {
  const auto packet = large_packet(true, ip_protocol::tcp, 500);
  const auto segments = segments_of(packet, {});
  REQUIRE(segments.size() == 1);
  CHECK(segments[0].bytes == packet);
}

TEST_CASE("a packet that is shorter than its headers say is none") {
  const auto packet = large_packet(true, ip_protocol::tcp, 500);
  const auto offload = offload_of(true, ip_protocol::tcp, 100);
  for (std::size_t size = 0; size < 40; ++size)
    CHECK(segments_of(Bytes(packet).first(size), offload).empty());
  auto none = offload;
  none.segment_size = 0;
  CHECK(segments_of(packet, none).empty());
  none = offload;
  none.checksum_start = 0;
  CHECK(segments_of(packet, none).empty());
}

}  // namespace
}  // namespace nsrun
