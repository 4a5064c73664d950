#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "runtime/address.h"

namespace nsrun {

constexpr std::size_t max_queues = 16;  // as many descriptors as one handshake message carries

// How packets get out of the namespace.
enum class DeviceKind {
  automatic,  // TUN, or where it cannot be opened a veth pair
  tun,        // /dev/net/tun
  veth,       // a pair of virtual Ethernet devices, and a packet socket on its far end
};

// The guest's end of a veth pair has this Ethernet address, and takes frames to no other. Frames of the guest
// bear it as their target too (arp_constructor in the kernel's net/ipv4/arp.c, for devices without ARP).
constexpr std::array<std::uint8_t, 6> guest_ethernet_address{0x02, 'n', 's', 'r', 'u', 'n'};

// The guest's network, as both processes know it. The defaults are the convention slirp4netns users know.
struct NetworkOptions {
  std::string device = "tun0";
  DeviceKind device_kind = DeviceKind::automatic;
  std::size_t mtu = 65520;  // bytes, IP header included; 576 (1280 with IPv6) to 65520
  // Of the device, 1 to max_queues: flows are spread over them, and each is carried by a thread outside.
  std::size_t queues = 1;

  IpAddress guest4 = IpAddress::v4(10, 0, 2, 100);
  std::uint8_t prefix4 = 24;  // bits
  IpAddress gateway4 = IpAddress::v4(10, 0, 2, 2);
  IpAddress name_server4 = IpAddress::v4(10, 0, 2, 3);

  bool ipv6 = true;
  IpAddress guest6 = *IpAddress::parse("fd00::100");
  std::uint8_t prefix6 = 64;  // bits
  IpAddress gateway6 = *IpAddress::parse("fd00::2");
  IpAddress name_server6 = *IpAddress::parse("fd00::3");

  bool is_gateway(const IpAddress& address) const { return address == gateway4 || address == gateway6; }
  bool is_name_server(const IpAddress& address) const {
    return address == name_server4 || address == name_server6;
  }
  bool is_guest(const IpAddress& address) const { return address == guest4 || address == guest6; }
};

}  // namespace nsrun
