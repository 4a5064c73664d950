#include <poll.h>

#include <algorithm>

#include "tests/support/catch.h"

#include "container/device/guest_device.h"
#include "netstack/devices/open_device.h"
#include "netstack/packet.h"
#include "tests/support/container_fake_host.h"
#include "tests/support/container_skip.h"
#include "tests/support/stack_packets.h"

// The sandbox on a veth pair in place of a TUN device.

using namespace nsrun;
using namespace nsrun::test;
using Catch::Contains;

namespace {

AgentOptions over_veth(const std::string& script) {
  auto options = shell(script);
  options.network.device_kind = DeviceKind::veth;
  return options;
}

// The next packet of this protocol from the guest.
Octets next_frame(Device& device, std::uint8_t protocol) {
  Octets room(max_packet);
  Offload offload;
  std::size_t size = 0;
  for (pollfd waiting{device.fd(), POLLIN, 0}; ::poll(&waiting, 1, 2000) == 1;) {
    if (device.read(offload, room, size) != Device::ReadStatus::packet) break;
    const auto packet = parse_packet(MutableBytes(room).first(size));
    if (packet && packet->protocol == protocol) return {room.begin(), room.begin() + static_cast<long>(size)};
  }
  return {};
}

}  // namespace

TEST_CASE("over a veth pair the guest finds the same network, and one device beside its loopback") {
  if (skip(why_no_sandbox())) return;
  FakeHost host(over_veth("cat /proc/net/dev /proc/net/route /proc/net/if_inet6"));
  host.start_command();
  const auto text = host.read_all();
  CHECK_THAT(text, Contains("tun0\t00000000\t0202000A\t0003"));  // default, 10.0.2.2, up and a gateway
  CHECK_THAT(text, Contains("fd000000000000000000000000000100") && !Contains("fe80"));
  CHECK(std::count(text.begin(), text.begin() + static_cast<long>(text.find("Iface")), ':') == 2);
}

TEST_CASE("over a veth pair one connection's send buffer is no larger than its share of the queue") {
  if (skip(why_no_sandbox())) return;
  FakeHost host(over_veth("cut -f 3 /proc/sys/net/ipv4/tcp_wmem"));
  host.start_command();
  CHECK(std::stoi(host.read_line()) <= 2 << 20);
}

TEST_CASE("over a veth pair the guest answers what the host sends, however large") {
  if (skip(why_no_sandbox())) return;
  auto options = over_veth("read forever");
  options.network.mtu = 1500;
  FakeHost host(options);
  host.start_command();
  auto device = open_device(std::move(host.device), 1500);
  REQUIRE(device.has_value());
  const std::size_t data = GENERATE(56, 1472, 1473, 60'000);
  const bool v6 = GENERATE(false, true);
  const auto world = v6 ? *IpAddress::parse("2001:db8::1") : IpAddress::v4(192, 0, 2, 1);
  const auto guest = v6 ? options.network.guest6 : options.network.guest4;
  auto request = echo_request(world, guest, 7, 1, pattern(data));
  const iovec part{request.data(), request.size()};
  Octets reply;
  // The kernel carries nothing over a new pair before a worker of its own has seen that it is up.
  for (int attempt = 0; attempt < 5 && reply.empty(); ++attempt) {
    (*device)->write({}, {&part, 1});
    reply = next_frame(**device, v6 ? ip_protocol::icmp6 : ip_protocol::icmp);
  }
  CHECK(reply.size() >= std::min<std::size_t>(request.size(), 1400));  // its first piece, if it is large
}

TEST_CASE("a child that carries packets itself cannot do so over a veth pair") {
  NetworkOptions network;
  network.device_kind = DeviceKind::veth;
  CHECK_FALSE(open_guest_device(network, 1, false).has_value());
}
