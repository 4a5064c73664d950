// What ICMP says about a datagram on its way beyond the host reaches the guest, and DF is kept. The test
// plays the path:
//
//   guest ─► Stack ─► relay ─► socket ─► one 10.1.0.1/24, 2001:db8:1::1/64, MTU 1500 ─► (the test)

#include "runtime/delivery_error.h"

#include "tests/support/catch.h"
#include "tests/support/container_skip.h"
#include "tests/support/outside_links.h"
#include "tests/support/own_network.h"
#include "tests/support/stack_world.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

constexpr std::uint16_t sender_port = 5000, receiver_port = 53;
constexpr int link_mtu = 1500;

struct Kind {
  const char* name;
  std::uint8_t type, code;
  std::uint16_t mtu = 0;
};
constexpr Kind kinds4[] = {{"network unreachable", 3, 0}, {"host unreachable", 3, 1},
                           {"port unreachable", 3, 3},    {"fragmentation needed", 3, 4, 1300},
                           {"prohibited", 3, 13},         {"time exceeded", 11, 0}};
constexpr Kind kinds6[] = {
    {"no route", 1, 0},         {"prohibited", 1, 1},           {"address unreachable", 1, 3},
    {"port unreachable", 1, 4}, {"packet too big", 2, 0, 1300}, {"time exceeded", 3, 0}};

struct Path1500 {
  OutsideLink link{"one", link_mtu, {"10.1.0.1/24", "2001:db8:1::1/64"}};
  bool made = link.made && ip("link set lo up") && ip("route add default dev one") &&
              ip("-6 route add default dev one") &&
              std::system("sysctl -qw net.ipv4.ping_group_range='0 0'") == 0;
};

// The packet with DF set, as a socket of the guest's with IP_PMTUDISC_DO sends it.
Octets whole(Octets packet) {
  packet[6] = std::byte{0x40};
  packet[10] = packet[11] = std::byte{0};
  const auto sum = internet_checksum(Bytes(packet).first(20));
  packet[10] = static_cast<std::byte>(sum >> 8);
  packet[11] = static_cast<std::byte>(sum);
  return packet;
}

// A router's word about a packet of the host's.
Octets error_about(const Octets& packet, const Kind& kind) {
  const bool v4 = std::to_integer<int>(packet[0]) >> 4 == 4;
  const auto to = v4 ? IpAddress::v4_from(&packet[12]) : IpAddress::v6_from(&packet[8]);
  const auto router = v4 ? IpAddress::v4(10, 1, 0, 9) : *IpAddress::parse("2001:db8:1::9");
  Octets message(8);
  message[0] = std::byte{kind.type};
  message[1] = std::byte{kind.code};
  message[6] = static_cast<std::byte>(kind.mtu >> 8);
  message[7] = static_cast<std::byte>(kind.mtu);
  message.insert(message.end(), packet.begin(),
                 packet.begin() + static_cast<long>(std::min<std::size_t>(packet.size(), 128)));
  const std::uint8_t protocol = v4 ? 1 : 58;
  Octets summed;
  if (!v4) {
    for (const auto& address : {router, to})
      for (int i = 0; i < 16; ++i) summed.push_back(std::byte{address.data()[i]});
    for (const std::size_t byte : {std::size_t{0}, std::size_t{0}, message.size() >> 8, message.size() & 255,
                                   std::size_t{0}, std::size_t{0}, std::size_t{0}, std::size_t{protocol}})
      summed.push_back(static_cast<std::byte>(byte));
  }
  summed.insert(summed.end(), message.begin(), message.end());
  const auto sum = internet_checksum(summed);
  message[2] = static_cast<std::byte>(sum >> 8);
  message[3] = static_cast<std::byte>(sum);
  return ip_packet({router, to, protocol}, message);
}

bool heard(StackWorld& world, const Kind& kind) {
  return world.until([&] {
    return !world.others.empty() && world.others.back().is_icmp() && world.others.back().type == kind.type &&
           world.others.back().code == kind.code && world.others.back().sequence == kind.mtu;
  });
}

bool left(StackWorld& world, OutsideLink& link) {
  return world.until([&] { return link.read(), !link.packets.empty(); });
}

// 0, or 10 times the number of the kind that was not told, plus why.
int errors_are_told(Path path, bool v6, Protocol protocol) {
  Path1500 world_path;
  auto& link = world_path.link;
  if (!world_path.made) return 77;
  StackWorld world({path, v6, true});
  const auto ask = [&](std::uint16_t number) {
    const auto guest = world.guest(sender_port), target = world.target(receiver_port);
    if (protocol == Protocol::udp)
      world.device.send(
          {v6 ? udp_packet(guest, target, pattern(100)) : whole(udp_packet(guest, target, pattern(100)))});
    else
      world.device.send({echo_request(guest.address, target.address, 7, number, octets("ping"))});
  };
  ask(1);
  world.dial(world.request());
  if (!left(world, link)) return 1;
  int number = 1;
  for (const Kind& kind : v6 ? kinds6 : kinds4) {
    const auto about = link.packets.front();
    link.packets.clear();
    link.seen.clear();
    world.others.clear();
    ask(2);  // what is told is about the first
    if (!left(world, link)) return number * 10 + 2;
    link.packets.clear();
    link.seen.clear();
    link.send(error_about(about, kind));
    if (!heard(world, kind)) return number * 10 + 3;
    const auto& quote = world.others.back().payload;
    const std::size_t transport = v6 ? 40 : 20;
    if (quote.size() < transport + 8) return number * 10 + 4;
    if (protocol == Protocol::icmp && quote[transport + 7] != std::byte{1}) return number * 10 + 5;
    if (protocol == Protocol::icmp && quote[transport + 5] != std::byte{7}) return number * 10 + 6;
    ask(1);
    if (!left(world, link)) return number * 10 + 7;  // the flow goes on
    ++number;
  }
  return world.requests.empty() && world.bad_sums == 0 ? 0 : 2;
}

void expect_passed(int status) {
  if (status == 77 && skip("links cannot be made in a network namespace here")) return;
  CHECK(status == 0);
}

}  // namespace

TEST_CASE("ICMP errors from the path reach the guest's UDP socket, and the flow goes on") {
  const auto path = GENERATE(Path::fast, Path::generic);
  const bool v6 = GENERATE(false, true);
  expect_passed(in_own_network([&] { return errors_are_told(path, v6, Protocol::udp); }));
}

TEST_CASE("ICMP errors from the path reach the guest's ping, about the very request") {
  const bool v6 = GENERATE(false, true);
  expect_passed(in_own_network([&] { return errors_are_told(Path::fast, v6, Protocol::icmp); }));
}

TEST_CASE("a datagram with DF is not fragmented: what is too large is told the path's MTU") {
  expect_passed(in_own_network([] {
    Path1500 world_path;
    auto& link = world_path.link;
    if (!world_path.made) return 77;
    StackWorld world({});
    const auto send = [&](std::size_t size, bool df) {
      const auto packet = udp_packet(world.guest(sender_port), world.target(receiver_port), pattern(size));
      world.device.send({df ? whole(packet) : packet});
    };
    send(3000, true);  // the first of the flow, too
    world.dial(world.request());
    const Kind too_big{"fragmentation needed", 3, 4, link_mtu};
    if (!heard(world, too_big)) return 1;
    send(1472, true);  // fills the link
    if (!left(world, link)) return 2;
    if (link.packets.size() != 1 || link.packets[0].size() != link_mtu) return 3;
    if (link.packets[0][6] != std::byte{0x40}) return 4;
    link.packets.clear();
    link.seen.clear();
    world.others.clear();
    // Several at once, which would go out as one.
    for (int i = 0; i < 3; ++i) send(2000, true);
    if (!heard(world, too_big)) return 5;
    link.read();
    if (!link.packets.empty()) return 6;
    if (world.flows.totals.udp.packets_up != 1) return 7;  // what did not go is not counted
    send(3000, false);
    if (!world.until([&] { return link.read(), !link.fragments.empty(); })) return 8;
    return 0;
  }));
}
