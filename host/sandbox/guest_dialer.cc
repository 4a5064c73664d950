#include "host/sandbox/guest_dialer.h"

#include <netinet/tcp.h>

#include "host/dialers/connect_socket.h"
#include "host/flow/socket_connection.h"

namespace nsrun {

// Where the server may listen instead: for the guest itself, and for localhost, an address is as good as the
// other family's.
std::optional<Endpoint> GuestDialer::other_family(const Target& target) const {
  const auto& [address, port] = target.endpoint;
  if (!network_.ipv6) return std::nullopt;
  if (network_.is_guest(address)) return Endpoint{address.is_v4() ? network_.guest6 : network_.guest4, port};
  if (target.name.empty()) return std::nullopt;
  return Endpoint{*IpAddress::parse(address.is_v4() ? "::1" : "127.0.0.1"), port};
}

bool GuestDialer::belongs_inside(const Target& target) const {
  if (target.endpoint.address.is_loopback()) return true;
  const auto& client = target.source.address;
  return target.protocol == Protocol::tcp && sockets_.available() &&
         (client.is_loopback() || client.is_unspecified());
}

// The client as the guest may see it: of the guest's family, and not an address the guest's kernel takes for
// its own or refuses from outside.
Endpoint GuestDialer::presentable(Protocol protocol, const Endpoint& client, const Endpoint& guest) {
  const bool v4 = guest.address.is_v4();
  const bool fits = client.address.is_v4() == v4 && !client.address.is_loopback() &&
                    !client.address.is_unspecified() && !client.address.is_link_local() &&
                    !network_.is_guest(client.address);
  if (fits) return client;
  // Connections may last: a port that comes again may still be in use.
  const IpAddress& gateway = v4 ? network_.gateway4 : network_.gateway6;
  for (unsigned tries = 0; tries < 65'536u - first_port; ++tries) {
    if (++next_port_ < first_port) next_port_ = first_port;
    if (stack_.is_free({protocol, guest, {gateway, next_port_}})) break;
  }
  return {gateway, next_port_};
}

Task<Result<std::unique_ptr<Connection>>> GuestDialer::dial(const Target& target) {
  const bool inside = belongs_inside(target);
  const auto attempt = [&](const Endpoint& guest) {
    return inside ? dial_inside(target.protocol, guest)
                  : dial_through_stack(target.protocol, presentable(target.protocol, target.source, guest),
                                       guest);
  };
  auto first = co_await attempt(target.endpoint);
  const bool refused = !first && first.error().code.value() == ECONNREFUSED;
  const auto other = other_family(target);
  if (!refused || !other) co_return first;
  auto second = co_await attempt(*other);
  co_return second ? std::move(second) : std::move(first);
}

Task<Result<std::unique_ptr<Connection>>> GuestDialer::dial_inside(Protocol protocol, Endpoint guest) {
  const std::string doing = "cannot connect to " + guest.to_string() + " in the sandbox";
  if (!co_await sockets_.has_agent())
    co_return Error{doing + ": no agent there makes sockets", errno_code(ECONNREFUSED),
                    "dial the guest's own address"};
  const bool stream = protocol == Protocol::tcp;
  auto socket =
      co_await sockets_.take(guest.address.is_v4() ? AF_INET : AF_INET6, stream ? SOCK_STREAM : SOCK_DGRAM);
  if (!socket) co_return socket.error();
  const int on = 1;
  if (stream) {
    ::setsockopt(socket->get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(socket->get(), IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
  }
  auto connected = co_await connect_socket(executor_, std::move(*socket), SocketAddress(guest), doing);
  if (!connected) co_return connected.error();
  co_return std::make_unique<SocketConnection>(executor_, std::move(*connected),
                                               stream ? Transport::stream : Transport::datagram);
}

Task<Result<std::unique_ptr<Connection>>> GuestDialer::dial_through_stack(Protocol protocol, Endpoint source,
                                                                          Endpoint guest) {
  return stack_.connect(protocol, source, guest);
}

}  // namespace nsrun
