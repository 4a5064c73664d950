#include "container/device/netlink.h"

namespace nsrun {

Error netlink_error(std::string doing, int number) {
  // The capability is the one that is lost in practice.
  const bool denied = number == -NLE_PERM || number == -NLE_NOACCESS;
  if (denied) return {std::move(doing), errno_code(EPERM), "the namespace needs CAP_NET_ADMIN"};
  return {doing + ": " + nl_geterror(number)};
}

Result<NetlinkSocket> connect_netlink() {
  NetlinkSocket socket(nl_socket_alloc());
  if (const int status = nl_connect(socket.get(), NETLINK_ROUTE); status < 0)
    return netlink_error("cannot talk to the kernel about the guest's network", status);
  return socket;
}

}  // namespace nsrun
