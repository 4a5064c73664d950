#include "host/tunnel/tcp_info.h"

#include <linux/tcp.h>  // netinet/tcp.h has no tcpi_bytes_acked
#include <netinet/in.h>
#include <sys/socket.h>

#include "host/dialers/address_selection.h"
#include "runtime/fd.h"

namespace nsrun {

TcpInfo tcp_info_of(int socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (socket < 0 || ::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) < 0) return {};
  return {info.tcpi_bytes_acked, info.tcpi_unacked > 0 || info.tcpi_notsent_bytes > 0};
}

TcpPath tcp_path(int socket) {
  SocketAddress here, there;
  if (socket < 0 || ::getsockname(socket, here.get(), &here.length) < 0 || !here.is_ip() ||
      ::getpeername(socket, there.get(), &there.length) < 0)
    return TcpPath::same;
  const auto source = source_for(there.endpoint().address);
  if (!source) return TcpPath::none;
  return *source == here.endpoint().address ? TcpPath::same : TcpPath::moved;
}

}  // namespace nsrun
