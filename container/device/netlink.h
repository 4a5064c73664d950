#pragma once

#include <netlink/netlink.h>
#include <netlink/route/link.h>

#include <memory>
#include <string>

#include "runtime/c_deleter.h"
#include "runtime/result.h"

namespace nsrun {

using NetlinkSocket = std::unique_ptr<nl_sock, CDeleter<nl_socket_free>>;
using NetlinkAddress = std::unique_ptr<nl_addr, CDeleter<nl_addr_put>>;
using Link = std::unique_ptr<rtnl_link, CDeleter<rtnl_link_put>>;

// `number` is libnl's own (-NLE_*), not an errno.
Error netlink_error(std::string doing, int number);

// A connection to the kernel about the current network namespace.
Result<NetlinkSocket> connect_netlink();

}  // namespace nsrun
