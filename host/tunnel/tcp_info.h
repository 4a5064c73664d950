#pragma once

#include <cstdint>

namespace nsrun {

// What the kernel knows of a TCP socket's far side (tcp(7), TCP_INFO). Nothing of other sockets, or -1.
struct TcpInfo {
  std::uint64_t acknowledged = 0;  // bytes that it has acknowledged
  bool unacknowledged = false;     // bytes wait to be acknowledged, or to be sent
};
TcpInfo tcp_info_of(int socket);

// How this machine would reach a TCP socket's far side now, after its network may have changed.
enum class TcpPath {
  same,   // by the address that the connection has; also for other sockets, and -1
  moved,  // by another address
  none    // it has no route there
};
TcpPath tcp_path(int socket);

}  // namespace nsrun
