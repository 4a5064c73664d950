#pragma once

#include "host/sandbox/inject/guest_socket.h"

namespace nsrun {

// Where a closed sandbox's unix sockets are connected and made to listen: by its agent, in the sandbox
// (container/closed/unix_connect_broker.h).
class GuestUnixSockets {
 public:
  GuestUnixSockets() = default;  // the sandbox is not closed
  explicit GuestUnixSockets(UniqueFd channel);

  bool are_closed() const { return static_cast<bool>(channel_); }
  // Whoever takes a connect or listen answers the call. 0 or an errno: nobody does.
  int pass_on(const GuestConnect& call) const;

 private:
  UniqueFd channel_;
};

// A netlink address that we may connect a guest's socket to, having more rights than the guest (netlink(7)):
// the kernel's own.
bool is_kernel(const SocketAddress& netlink);

}  // namespace nsrun
