#include "netstack/packet.h"

#include <algorithm>
#include "tests/support/catch.h"
#include "tests/support/stack_packets.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

const Endpoint guest4{IpAddress::v4(10, 0, 2, 100), 4000}, world4{IpAddress::v4(192, 0, 2, 1), 80};
const Endpoint guest6{*IpAddress::parse("fd00::100"), 4000}, world6{*IpAddress::parse("2001:db8::1"), 80};

std::optional<FlowKey> key_of(Octets bytes) {
  const auto packet = parse_packet(bytes);
  return packet ? flow_key(*packet) : std::nullopt;
}

}  // namespace

TEST_CASE("a packet names its flow, the same way in both families") {
  for (const auto& [from, to] : {std::pair{guest4, world4}, {guest6, world6}}) {
    CHECK(key_of(tcp_packet(from, to, {})) == FlowKey{Protocol::tcp, from, to});
    CHECK(key_of(udp_packet(from, to, octets("x"))) == FlowKey{Protocol::udp, from, to});
    CHECK(key_of(echo_request(from.address, to.address, 5, 1, {})) ==
          FlowKey{Protocol::icmp, {from.address, 5}, {to.address, 0}});
  }
}

TEST_CASE("no beginning of a packet is a packet") {
  for (const auto& bytes :
       {tcp_packet(guest4, world4, {}, octets("hello")), udp_packet(guest6, world6, octets("x"))})
    for (std::size_t size = 0; size < bytes.size(); ++size)
      CHECK(!key_of(Octets(bytes.begin(), bytes.begin() + static_cast<long>(size))));
}

TEST_CASE("bytes behind a packet's own length are not its payload") {
  auto bytes = udp_packet(guest4, world4, octets("x"));
  bytes.resize(bytes.size() + 20);
  const auto packet = parse_packet(bytes);
  REQUIRE(packet);
  CHECK(packet->payload().size() == 9);
}

TEST_CASE("IPv6 extension headers lead to the transport header, and loops do not") {
  IpFields ip{guest6.address, world6.address, 17};
  ip.next_header = 0;
  ip.options =
      octets({"\x3c\0\x01\x04\0\0\0\0\x11\0\x01\x04\0\0\0\0", 16});  // hop-by-hop, destination options
  CHECK(key_of(ip_packet(ip, udp_datagram(guest6, world6, octets("x")))) ==
        FlowKey{Protocol::udp, guest6, world6});
  ip.options[9] = std::byte{0xff};  // reaches beyond the end
  CHECK(!key_of(ip_packet(ip, udp_datagram(guest6, world6, octets("x")))));
}

TEST_CASE("IPv4-mapped addresses on the wire are nobody's") {
  const Endpoint mapped{IpAddress::v4(127, 0, 0, 1), 80};
  auto bytes = udp_packet(guest6, world6, octets("x"));
  std::copy(reinterpret_cast<const std::byte*>(mapped.address.mapped().data()),
            reinterpret_cast<const std::byte*>(mapped.address.mapped().data()) + 16, bytes.begin() + 24);
  CHECK(!parse_packet(bytes));
}

TEST_CASE("the beginning of a packet is a packet with less payload") {
  for (const auto& [from, to] : {std::pair{guest4, world4}, {guest6, world6}}) {
    TcpFields tcp;
    tcp.flags = flag::syn;
    tcp.options = tcp_options(1460, 7);
    auto bytes = tcp_packet(from, to, tcp, pattern(5000));
    const auto packet = parse_packet(bytes);
    REQUIRE(packet);
    const auto head = beginning_of(*packet, tcp_header_size(*packet));
    const auto seen = see({head, {}});  // throws when the length is wrong
    CHECK(seen.tcp.flags == flag::syn);
    CHECK(seen.payload.empty());
    CHECK(key_of(head) == flow_key(*packet));
  }
}
