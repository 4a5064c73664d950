#include <netinet/in.h>
#include <sys/socket.h>

#include "host/publish/listener.h"

namespace nsrun {
namespace {

constexpr int backlog = 1024;  // connections the kernel holds before we accept them

void set(int socket, int level, int option, int value) {
  ::setsockopt(socket, level, option, &value, sizeof value);
}

Result<UniqueFd> bind_family(const PublishedPort& port, const Endpoint& where, const std::string& doing) {
  const bool tcp = port.protocol == Protocol::tcp;
  SocketAddress address(where);
  UniqueFd socket(
      ::socket(address.family(), (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return errno_error(doing);
  if (tcp) set(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.family() == AF_INET6) {
    set(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, where.address.is_unspecified() ? 0 : 1);
    if (!tcp) set(socket.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  } else if (!tcp) {
    set(socket.get(), IPPROTO_IP, IP_PKTINFO, 1);
  }
  if (!tcp) set(socket.get(), SOL_SOCKET, SO_RCVBUF, 4 << 20);
  if (::bind(socket.get(), address.get(), address.length) < 0 ||
      (tcp && ::listen(socket.get(), backlog) < 0)) {
    const bool in_use = errno == EADDRINUSE;
    return errno_error(doing,
                       in_use ? "another program listens there; publish another host port"
                       : errno == EACCES
                           ? "ports below 1024 need privilege (net.ipv4.ip_unprivileged_port_start)"
                           : "",
                       in_use ? ExitCode::port_in_use : ExitCode::failed);
  }
  return socket;
}

}  // namespace

Result<UniqueFd> bind_published(const PublishedPort& port) {
  const bool all = port.listen.address == IpAddress{};
  const std::string doing = "cannot publish port " + std::to_string(port.listen.port) + " (" +
                            std::string(to_string(port.protocol)) + ")" +
                            (all ? "" : " on " + port.listen.address.to_string());
  auto bound = bind_family(port, port.listen, doing);
  // A host without IPv6 has no ::; all of its addresses are then IPv4.
  if (!bound && all && bound.error().code.value() == EAFNOSUPPORT)
    return bind_family(port, {IpAddress::v4(0, 0, 0, 0), port.listen.port}, doing);
  return bound;
}

}  // namespace nsrun
