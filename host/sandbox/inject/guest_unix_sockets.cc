#include "host/sandbox/inject/guest_unix_sockets.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <cstring>

#include "host/sandbox/inject/guest_thread.h"
#include "runtime/handshake.h"

namespace nsrun {

// An agent that does not keep up must not keep us: the connect fails then as one does that finds a full
// queue.
GuestUnixSockets::GuestUnixSockets(UniqueFd channel) : channel_(std::move(channel)) {
  ::fcntl(channel_.get(), F_SETFL, O_NONBLOCK);
}

int GuestUnixSockets::pass_on(const GuestConnect& connect) const {
  const TrappedCall& call = connect.call;
  Message message{MessageType::connect_unix};
  message.body.assign(reinterpret_cast<const char*>(&call.id), sizeof call.id);
  if (call.kind == TrappedCall::Kind::listen)
    message.type = MessageType::listen_unix, message.number = call.backlog;
  else
    message.body.append(reinterpret_cast<const char*>(&connect.address.storage), connect.address.length);
  UniqueFd socket(::fcntl(connect.socket.get(), F_DUPFD_CLOEXEC, 3)), caller = open_thread(call.thread);
  if (!socket || !caller) return EAGAIN;
  message.fds.push_back(std::move(socket));
  message.fds.push_back(std::move(caller));
  return send_message(channel_.get(), message) ? 0 : EAGAIN;
}

bool is_kernel(const SocketAddress& netlink) {
  sockaddr_nl address{};
  if (netlink.length < sizeof address) return false;
  std::memcpy(&address, &netlink.storage, sizeof address);
  return address.nl_family == AF_NETLINK && address.nl_pid == 0 && address.nl_groups == 0;
}

}  // namespace nsrun
