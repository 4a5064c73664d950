#include "host/dialers/direct_dialer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstring>

#include "host/dialers/connect_socket.h"
#include "host/flow/keepalive.h"
#include "host/flow/socket_connection.h"
#include "host/flow/socket_option.h"
#include "runtime/delivery_error.h"

namespace nsrun {
namespace {

using Dialled = Result<std::unique_ptr<Connection>>;

constexpr int datagram_buffer = 1 << 20;  // bytes; the kernel caps it at net.core.{r,w}mem_max
// An echo has no port, but getpeername(2) knows no peer without one (inet_getname in the kernel's
// net/ipv4/af_inet.c).
constexpr std::uint16_t echo_port = 7;
constexpr std::string_view loopback_congestion_control = "reno";

bool is_ipv6_on() {
  static const bool on = static_cast<bool>(UniqueFd(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
  return on;
}

bool is_mapped(const Target& target) {
  return target.mapped && target.endpoint.address.is_v4() && is_ipv6_on();
}

SocketAddress address_of(const Target& target) {
  if (!is_mapped(target)) return SocketAddress(target.endpoint);
  SocketAddress address;
  sockaddr_in6 mapped{};
  mapped.sin6_family = AF_INET6;
  mapped.sin6_port = htons(target.endpoint.port);
  std::memcpy(&mapped.sin6_addr, target.endpoint.address.mapped().data(), sizeof mapped.sin6_addr);
  std::memcpy(&address.storage, &mapped, sizeof mapped);
  address.length = sizeof mapped;
  return address;
}

Result<UniqueFd> open_socket(const Target& target, int type, int protocol) {
  const int family = target.endpoint.address.is_v4() && !is_mapped(target) ? AF_INET : AF_INET6;
  UniqueFd socket(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
  if (socket) return socket;
  const bool out_of_files = errno == EMFILE || errno == ENFILE;
  return errno_error("cannot make a socket for " + target.to_string(),
                     out_of_files ? "raise the limit of open files (ulimit -n)" : "");
}

void prepare_tcp(int socket, const Endpoint& far) {
  set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  set_keepalive(socket);
  // Pacing algorithms (bbr) only slow a link that loses nothing.
  if (far.address.is_loopback())
    ::setsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, loopback_congestion_control.data(),
                 loopback_congestion_control.size());
}

// On loopback, a dial to an ephemeral port without a listener can be given that very port as its own and so
// meet itself (simultaneous open, RFC 9293 3.5).
bool met_itself(int socket, const Endpoint& far) {
  if (!far.address.is_loopback()) return false;
  SocketAddress own;
  ::getsockname(socket, own.get(), &own.length);
  return own.endpoint() == far;
}

Task<Dialled> dial_tcp(Executor executor, const Target& target) {
  auto socket = open_socket(target, SOCK_STREAM, IPPROTO_TCP);
  if (!socket) co_return socket.error();
  prepare_tcp(socket->get(), target.endpoint);
  if (is_mapped(target)) set_option(socket->get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
  const SocketAddress address = address_of(target);
  const auto doing = "cannot connect to " + target.to_string();
  auto connected = co_await connect_socket(executor, std::move(*socket), address, doing);
  if (!connected) co_return connected.error();
  if (met_itself(connected->get(), target.endpoint)) co_return Error{doing, errno_code(ECONNREFUSED)};
  co_return std::make_unique<SocketConnection>(executor, std::move(*connected));
}

// `mappings`: null where the source has no port to keep.
Dialled connect_datagram(Executor executor, const Target& target, UniqueFd socket, UdpMappings* mappings) {
  set_option(socket.get(), SOL_SOCKET, SO_RCVBUF, datagram_buffer);
  set_option(socket.get(), SOL_SOCKET, SO_SNDBUF, datagram_buffer);
  keep_errors(socket.get(), !target.endpoint.address.is_v4());
  Endpoint peer = target.endpoint;
  if (target.protocol == Protocol::icmp) peer.port = echo_port;
  const SocketAddress address(peer);
  int error = 0;
  if (mappings)
    error = mappings->connect(socket.get(), target.source, peer);
  else if (::connect(socket.get(), address.get(), address.length) < 0)
    error = errno;
  if (error != 0) return Error{"cannot send to " + target.to_string(), errno_code(error)};
  return std::make_unique<SocketConnection>(executor, std::move(socket), Transport::datagram);
}

Dialled dial_udp(Executor executor, const Target& target, UdpMappings* mappings) {
  auto socket = open_socket(target, SOCK_DGRAM, IPPROTO_UDP);
  if (!socket) return socket.error();
  if (target.source.port == 0) mappings = nullptr;
  return connect_datagram(executor, target, std::move(*socket), mappings);
}

// A ping socket (icmp(7)): unprivileged, where the system lets our group.
Dialled dial_icmp(Executor executor, const Target& target) {
  const int protocol = target.endpoint.address.is_v4() ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6};
  auto socket = open_socket(target, SOCK_DGRAM, protocol);
  if (!socket) {
    const int error = socket.error().code.value();
    if (error != EACCES && error != EPERM) return socket.error();
    return Error{"cannot send echo requests to " + target.endpoint.address.to_string(), errno_code(EACCES),
                 "allow ping sockets as root: sysctl -w net.ipv4.ping_group_range='0 2147483647'"};
  }
  return connect_datagram(executor, target, std::move(*socket), nullptr);
}

}  // namespace

Task<Dialled> DirectDialer::dial(const Target& target) {
  if (!target.name.empty()) co_return co_await dial_by_name(executor_, target, *this);
  switch (target.protocol) {
    case Protocol::tcp:
      co_return co_await dial_tcp(executor_, target);
    case Protocol::udp:
      co_return dial_udp(executor_, target, mappings_);
    case Protocol::icmp:
      co_return dial_icmp(executor_, target);
  }
  co_return Error{"cannot dial " + target.to_string(), errno_code(EPROTONOSUPPORT)};
}

}  // namespace nsrun
