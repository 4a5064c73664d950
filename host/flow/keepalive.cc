#include "host/flow/keepalive.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace nsrun {
namespace {

constexpr int idle = 60;      // seconds of silence, then the peer is asked
constexpr int interval = 30;  // seconds between further questions; after tcp_keepalive_probes it is gone

void set(int socket, int level, int name, int value) {
  ::setsockopt(socket, level, name, &value, sizeof value);  // not worth failing a connection for
}

}  // namespace

void set_keepalive(int socket) {
  set(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(socket, IPPROTO_TCP, TCP_KEEPIDLE, idle);
  set(socket, IPPROTO_TCP, TCP_KEEPINTVL, interval);
}

}  // namespace nsrun
