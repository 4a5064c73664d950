#include "container/device/guest_network.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/route/addr.h>
#include <netlink/route/route.h>

#include "container/device/net_setting.h"
#include "container/device/netlink.h"

namespace nsrun {
namespace {

using LinkAddress = std::unique_ptr<rtnl_addr, CDeleter<rtnl_addr_put>>;
using Route = std::unique_ptr<rtnl_route, CDeleter<rtnl_route_put>>;

// Packets that wait at the device while nsrun is not scheduled, 500 by default. A TUN device takes each off
// its sender's account (skb_orphan in tun_net_xmit, drivers/net/tun.c), so a program that sends datagrams is
// never held back, and those that find the queue full are lost.
constexpr unsigned transmit_queue = 4096;

// One address family's part of the options.
struct Family {
  int number;
  IpAddress guest;
  std::uint8_t prefix;  // bits
  IpAddress gateway;
  unsigned mtu;  // bytes
};

void tune(const NetworkOptions& options) {
  // A rate-based algorithm (BBR) paces what has no bottleneck to find: the path is one copy long.
  write_net_setting("ipv4/tcp_congestion_control", "reno");
  // Without capabilities the guest may still ping and listen on port 80, as in other containers. The range
  // must be of ids that are mapped.
  const std::string gid = std::to_string(::getegid());
  write_net_setting("ipv4/ping_group_range", gid + " " + gid);
  write_net_setting("ipv4/ip_unprivileged_port_start", "0");
  // No link-local address, no router solicitations: nobody answers them, and each would wake the host.
  const std::string device = "ipv6/conf/" + options.device;
  write_net_setting(device + "/addr_gen_mode", "1");
  write_net_setting(device + "/accept_ra", "0");
  write_net_setting(device + "/disable_ipv6", options.ipv6 ? "0" : "1");
}

NetlinkAddress binary_address(int family, const IpAddress& address) {
  return NetlinkAddress(nl_addr_build(family, address.data(), address.size()));
}

Result<void> bring_up(nl_sock* socket, const char* device, unsigned mtu) {
  rtnl_link* found = nullptr;
  // The present flags: an RTM_SETLINK says all of them.
  int status = rtnl_link_get_kernel(socket, 0, device, &found);
  const Link link(found), changes(rtnl_link_alloc());
  rtnl_link_set_flags(changes.get(), IFF_UP);
  if (mtu) {
    rtnl_link_set_mtu(changes.get(), mtu);
    rtnl_link_set_txqlen(changes.get(), transmit_queue);
  }
  if (status == 0) status = rtnl_link_change(socket, link.get(), changes.get(), 0);
  if (status < 0) return netlink_error(std::string("cannot bring ") + device + " up", status);
  return {};
}

Result<void> add_address(nl_sock* socket, int device, const Family& family) {
  const auto local = binary_address(family.number, family.guest);
  nl_addr_set_prefixlen(local.get(), family.prefix);
  const LinkAddress address(rtnl_addr_alloc());
  rtnl_addr_set_ifindex(address.get(), device);
  rtnl_addr_set_local(address.get(), local.get());
  if (family.number == AF_INET6) rtnl_addr_set_flags(address.get(), IFA_F_NODAD);
  const int status = rtnl_addr_add(socket, address.get(), 0);
  if (status < 0)
    return netlink_error("cannot give the guest the address " + family.guest.to_string(), status);
  return {};
}

bool on_link(const Family& family) {
  const auto range = Cidr::parse(family.guest.to_string() + "/" + std::to_string(family.prefix));
  return range && range->contains(family.gateway);
}

Result<void> add_default_route(nl_sock* socket, int device, const Family& family) {
  const NetlinkAddress everywhere(nl_addr_build(family.number, nullptr, 0));
  const auto gateway = binary_address(family.number, family.gateway);
  const Route route(rtnl_route_alloc());
  rtnl_route_set_family(route.get(), static_cast<std::uint8_t>(family.number));
  rtnl_route_set_dst(route.get(), everywhere.get());
  rtnl_nexthop* hop = rtnl_route_nh_alloc();  // the route takes it
  rtnl_route_nh_set_ifindex(hop, device);
  rtnl_route_nh_set_gateway(hop, gateway.get());
  if (!on_link(family)) rtnl_route_nh_set_flags(hop, RTNH_F_ONLINK);
  rtnl_route_add_nexthop(route.get(), hop);
  // With a locked MTU the kernel sets DF for the sockets that want it alone (IP_PMTUDISC_DO, _PROBE), not for
  // all: what they send must not be fragmented outside, everything else may be, as on the host. A lock
  // without an MTU would mean 576 bytes (ipv4_mtu in the kernel's net/ipv4/route.c).
  if (family.number == AF_INET) {
    rtnl_route_set_metric(route.get(), RTAX_MTU, family.mtu);
    rtnl_route_set_metric(route.get(), RTAX_LOCK, 1u << RTAX_MTU);
  }
  const int status = rtnl_route_add(socket, route.get(), 0);
  if (status < 0)
    return netlink_error("cannot route through the gateway " + family.gateway.to_string(), status);
  return {};
}

Result<void> add_family(nl_sock* socket, int device, const Family& family) {
  if (auto done = add_address(socket, device, family); !done) return done;
  return add_default_route(socket, device, family);
}

}  // namespace

bool kernel_has_ipv6() { return ::access("/proc/net/if_inet6", F_OK) == 0; }

Result<void> set_up_guest_network(const NetworkOptions& options) {
  const auto connected = connect_netlink();
  if (!connected) return connected.error();
  nl_sock* const socket = connected->get();

  tune(options);
  if (auto done = bring_up(socket, "lo", 0); !done) return done;
  const auto mtu = static_cast<unsigned>(options.mtu);
  if (auto done = bring_up(socket, options.device.c_str(), mtu); !done) return done;
  const int device = static_cast<int>(::if_nametoindex(options.device.c_str()));
  if (auto done =
          add_family(socket, device, {AF_INET, options.guest4, options.prefix4, options.gateway4, mtu});
      !done)
    return done;
  if (!options.ipv6) return {};
  return add_family(socket, device, {AF_INET6, options.guest6, options.prefix6, options.gateway6, mtu});
}

}  // namespace nsrun
