#include "host/tunnel/upgrade_streams.h"

#include <sys/socket.h>

namespace nsrun {

std::optional<TcpSocket> tcp_socket_of(Executor executor, Connection& connection, const std::string& early) {
  SocketAddress address;
  const int own = connection.socket();
  if (own < 0 || !early.empty() || ::getsockname(own, address.get(), &address.length) < 0 || !address.is_ip())
    return std::nullopt;
  UniqueFd released = connection.release_socket();
  TcpSocket socket(executor);
  const auto protocol = address.family() == AF_INET ? asio::ip::tcp::v4() : asio::ip::tcp::v6();
  boost::system::error_code error;
  socket.assign(protocol, released.get(), error);
  if (error) return std::nullopt;
  (void)released.release();
  return socket;
}

}  // namespace nsrun
