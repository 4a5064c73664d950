#pragma once

#include <memory>

#include "runtime/address.h"
#include "runtime/route_watch.h"

namespace nsrun {

// The route of one connected datagram socket. connect(2) chooses the source address by the routes of that
// moment; when the address goes, or a better route comes, the socket stays with it. Here it is connected
// again in place: the descriptor, its options and a bound port stay. A unix socket is connected again when
// the server behind its path was started again.
class DatagramRoute {
 public:
  // `watch` outlives the route.
  explicit DatagramRoute(RouteWatch& watch) : watch_(watch), seen_(watch.generation(Clock::now())) {}

  // Of a unix socket the kernel forgets the peer as soon as it has gone: before the first send.
  void remember_peer(int socket);
  // Before a send. No system call as long as the network does not change.
  void follow(int socket, Clock::time_point now) {
    if (const auto generation = watch_.generation(now); generation != seen_) changed(socket, generation);
  }
  // After a send that failed with `error`, an errno. 0: the socket is connected again, and the datagram may
  // be sent again; otherwise the error to report.
  int recover(int socket, int error);

 private:
  void changed(int socket, std::uint32_t generation);
  bool has_moved(int socket) const;
  bool connect_again(int socket) const;

  RouteWatch& watch_;
  std::uint32_t seen_;
  std::unique_ptr<SocketAddress> peer_;  // once it was needed
};

}  // namespace nsrun
