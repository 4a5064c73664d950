#include "host/flow/keepalive.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "host/flow/socket_option.h"

namespace nsrun {
void set_keepalive(int socket, const KeepAlive& how) {
  set_option(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(socket, IPPROTO_TCP, TCP_KEEPIDLE, how.idle);
  set_option(socket, IPPROTO_TCP, TCP_KEEPINTVL, how.interval);
  if (how.count > 0) set_option(socket, IPPROTO_TCP, TCP_KEEPCNT, how.count);
}

}  // namespace nsrun
