#include "runtime/route_changes.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace nsrun {
namespace {

// RTMGRP_* of linux/rtnetlink.h, which has no names for the rules' groups. A link that goes down takes its
// IPv4 routes with it without a word about them.
constexpr std::uint32_t group(int number) { return 1u << (number - 1); }
constexpr std::uint32_t groups = group(RTNLGRP_LINK) | group(RTNLGRP_IPV4_IFADDR) |
                                 group(RTNLGRP_IPV6_IFADDR) | group(RTNLGRP_IPV4_ROUTE) |
                                 group(RTNLGRP_IPV6_ROUTE) | group(RTNLGRP_IPV4_RULE) |
                                 group(RTNLGRP_IPV6_RULE);
constexpr int max_reads = 64;  // of one call: a router's table may change all the time

}  // namespace

UniqueFd open_route_changes() {
  UniqueFd changes(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (::bind(changes.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) changes.reset();
  return changes;
}

// What has changed is not read: every change is a reason to ask the kernel for the route again.
bool drain_route_changes(int socket) {
  bool changed = false;
  std::array<std::byte, 64> room;  // the rest of a message is cut off
  for (int reads = 0; reads < max_reads; ++reads) {
    if (::recv(socket, room.data(), room.size(), 0) >= 0) {
      changed = true;
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == ENOBUFS) {  // more changes than the socket has room for
      changed = true;
      continue;
    }
    break;
  }
  return changed;
}

}  // namespace nsrun
