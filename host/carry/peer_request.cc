#include "host/carry/peer_request.h"

#include <sys/socket.h>

namespace nsrun {

std::optional<Task<>> PeerRequest::prepare(const Connection& far, bool) {
  SocketAddress peer;
  is_its_flow_ = far.socket() >= 0 && ::getpeername(far.socket(), peer.get(), &peer.length) == 0 &&
                 peer.is_ip() && peer.endpoint() == from_;
  return std::nullopt;
}

std::unique_ptr<Connection> PeerRequest::accept() {
  return is_its_flow_ ? stack_.answer(key_, datagram_) : nullptr;
}

}  // namespace nsrun
