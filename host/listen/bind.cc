#include "host/listen/bind.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "host/flow/socket_option.h"

namespace nsrun {
namespace {

Result<UniqueFd> bind_family(Protocol protocol, const Endpoint& where, const std::string& doing,
                             const std::string& if_in_use, bool both_families = false) {
  const int type = protocol == Protocol::tcp ? SOCK_STREAM : SOCK_DGRAM;
  UniqueFd socket(::socket(SocketAddress(where).family(), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return errno_error(doing);
  return bind_made(std::move(socket), protocol, where, doing, if_in_use, both_families);
}

}  // namespace

Result<UniqueFd> bind_made(UniqueFd socket, Protocol protocol, const Endpoint& where,
                           const std::string& doing, const std::string& if_in_use, bool both_families) {
  const bool tcp = protocol == Protocol::tcp;
  SocketAddress address(where);
  if (tcp) set_option(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.family() == AF_INET6) {
    set_option(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, both_families ? 0 : 1);
    if (!tcp) set_option(socket.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  } else if (!tcp) {
    set_option(socket.get(), IPPROTO_IP, IP_PKTINFO, 1);
  }
  if (!tcp) set_option(socket.get(), SOL_SOCKET, SO_RCVBUF, 4 << 20);
  if (::bind(socket.get(), address.get(), address.length) < 0 ||
      (tcp && ::listen(socket.get(), listen_backlog) < 0)) {
    const bool in_use = errno == EADDRINUSE;
    return errno_error(doing,
                       in_use ? if_in_use
                       : errno == EACCES
                           ? "ports below 1024 need privilege (net.ipv4.ip_unprivileged_port_start)"
                           : "",
                       in_use ? ExitCode::port_in_use : ExitCode::failed);
  }
  return socket;
}

Result<UniqueFd> bind_ip(Protocol protocol, const std::optional<IpAddress>& address, std::uint16_t port,
                         const std::string& doing, const std::string& if_in_use) {
  if (address) return bind_family(protocol, {*address, port}, doing, if_in_use);
  auto bound = bind_family(protocol, {{}, port}, doing, if_in_use, true);
  // A host without IPv6 has no ::; all of its addresses are then IPv4.
  if (!bound && bound.error().code.value() == EAFNOSUPPORT)
    return bind_family(protocol, {IpAddress::v4(0, 0, 0, 0), port}, doing, if_in_use);
  return bound;
}

}  // namespace nsrun
