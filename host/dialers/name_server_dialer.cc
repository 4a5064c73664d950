#include "host/dialers/name_server_dialer.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <charconv>
#include <cstring>

#include "host/dialers/connect_socket.h"
#include "host/flow/socket_connection.h"

namespace nsrun {
namespace {

// 0: there is no such interface now.
unsigned interface_index(const std::string& zone) {
  if (const unsigned index = ::if_nametoindex(zone.c_str())) return index;
  unsigned index = 0;
  const auto [end, error] = std::from_chars(zone.data(), zone.data() + zone.size(), index);
  return error == std::errc() && end == zone.data() + zone.size() ? index : 0;
}

Task<Result<std::unique_ptr<Connection>>> dial_in_zone(Executor executor, const Target& target) {
  const std::string doing = "cannot reach the name server " + target.name;
  const unsigned index = interface_index(target.name.substr(target.name.find('%') + 1));
  if (index == 0) co_return Error{doing, errno_code(ENODEV)};
  SocketAddress address(target.endpoint);
  sockaddr_in6 scoped{};
  std::memcpy(&scoped, &address.storage, sizeof scoped);
  scoped.sin6_scope_id = index;
  std::memcpy(&address.storage, &scoped, sizeof scoped);

  const bool is_stream = target.protocol == Protocol::tcp;
  const int type = (is_stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
  UniqueFd socket(::socket(AF_INET6, type, 0));
  if (!socket) co_return errno_error(doing);
  auto connected = co_await connect_socket(executor, std::move(socket), address, doing);
  if (!connected) co_return connected.error();
  co_return std::make_unique<SocketConnection>(executor, std::move(*connected),
                                               is_stream ? Transport::stream : Transport::datagram);
}

}  // namespace

Task<Result<std::unique_ptr<Connection>>> NameServerDialer::dial(const Target& target) {
  const bool has_zone = target.name.find('%') != target.name.npos;
  return has_zone ? dial_in_zone(executor_, target) : direct_.dial(target);
}

}  // namespace nsrun
