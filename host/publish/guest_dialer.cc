#include "host/publish/guest_dialer.h"

#include <netinet/tcp.h>

#include "host/dialers/connect_socket.h"
#include "host/socket_connection.h"

namespace nsrun {

Endpoint GuestDialer::in_other_family(const Endpoint& guest) const {
  return {guest.address.is_v4() ? network_.guest6 : network_.guest4, guest.port};
}

// The client as the guest may see it: of the guest's family, and not an address the guest's kernel takes for
// its own or refuses from outside.
Endpoint GuestDialer::presentable(const Endpoint& client, const IpAddress& guest) {
  const bool fits = client.address.is_v4() == guest.is_v4() && !client.address.is_loopback() &&
                    !client.address.is_link_local() && !network_.is_guest(client.address);
  if (fits) return client;
  if (++next_port_ < 32'768) next_port_ = 32'768;
  return {guest.is_v4() ? network_.gateway4 : network_.gateway6, next_port_};
}

Task<Result<std::unique_ptr<Connection>>> GuestDialer::dial(const Target& target) {
  const bool inside =
      target.protocol == Protocol::tcp && target.source.address.is_loopback() && sockets_.available();
  const auto attempt = [&](const Endpoint& guest) {
    return inside ? dial_inside(guest)
                  : dial_through_stack(target.protocol, presentable(target.source, guest.address), guest);
  };
  auto first = co_await attempt(target.endpoint);
  // The server may listen on the other family alone.
  const bool refused = !first && first.error().code.value() == ECONNREFUSED;
  if (!refused || !network_.ipv6) co_return first;
  auto second = co_await attempt(in_other_family(target.endpoint));
  co_return second ? std::move(second) : std::move(first);
}

Task<Result<std::unique_ptr<Connection>>> GuestDialer::dial_inside(Endpoint guest) {
  auto socket = co_await sockets_.take(guest.address.is_v4() ? AF_INET : AF_INET6);
  if (!socket) co_return socket.error();
  const int on = 1;
  ::setsockopt(socket->get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(socket->get(), IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
  auto connected = co_await connect_socket(executor_, std::move(*socket), SocketAddress(guest),
                                           "cannot connect to " + guest.to_string() + " in the sandbox");
  if (!connected) co_return connected.error();
  co_return std::make_unique<SocketConnection>(executor_, std::move(*connected));
}

Task<Result<std::unique_ptr<Connection>>> GuestDialer::dial_through_stack(Protocol protocol, Endpoint source,
                                                                          Endpoint guest) {
  return stack_.connect(protocol, source, guest);
}

}  // namespace nsrun
