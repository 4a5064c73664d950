#include "host/policy/reachability.h"

#include <cstdint>

#include "host/dialers/address_selection.h"

namespace nsrun {
namespace {

// Amazon's IPv6 metadata service has an address of its own (EC2 user guide, "Instance metadata"); all others
// known live at 169.254.169.254, which is link-local.
const IpAddress metadata6 = *IpAddress::parse("fd00:ec2::254");

// Protected ranges are no larger than this, so a network is in one when its ends are and it is no larger.
constexpr std::uint8_t shortest = 4;  // bits: 224.0.0.0/4

IpAddress last_of(const Cidr& network) {
  auto bytes = network.address.mapped();
  for (unsigned bit = network.length + (network.address.is_v4() ? 96 : 0); bit < 128; ++bit)
    bytes[bit / 8] |= static_cast<std::uint8_t>(0x80 >> (bit % 8));
  return IpAddress::v6_from(bytes.data());
}

}  // namespace

bool is_protected(const IpAddress& address) {
  return address.is_unspecified() || address.is_loopback() || address.is_link_local() ||
         address.is_multicast() || address == metadata6;
}

// The kernel gives a socket that is connected to one of its own addresses that very address as its source.
bool is_own_address(const IpAddress& address) {
  if (address.is_unspecified() || address.is_loopback()) return true;
  return source_for(address) == address;
}

bool is_protected(const Cidr& network) {
  return network.length >= shortest && is_protected(network.address) && is_protected(last_of(network));
}

}  // namespace nsrun
