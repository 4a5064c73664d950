#include "host/services/tunnel/incoming_stream_request.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "host/tunnel/session_limits.h"

namespace nsrun {

void show_slow_reads(int socket) {
  // Other sockets than TCP's do not have it.
  ::setsockopt(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &tunnel::limits::max_unsent,
               sizeof tunnel::limits::max_unsent);
}

}  // namespace nsrun
