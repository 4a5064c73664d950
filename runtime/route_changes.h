#pragma once

#include "runtime/fd.h"

namespace nsrun {

// A socket that can be read once addresses, links, routes or rules of this process's network have changed
// (rtnetlink(7)). None where the kernel gives no netlink socket.
UniqueFd open_route_changes();
// Whether anything has changed since the last call.
bool drain_route_changes(int socket);

}  // namespace nsrun
