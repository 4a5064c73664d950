#pragma once

namespace nsrun {

struct KeepAlive {
  int idle = 60;      // seconds of silence, then the peer is asked
  int interval = 30;  // seconds between further questions
  int count = 0;      // questions without an answer, then it is gone; 0: the kernel's tcp_keepalive_probes
};

// Has the kernel ask a silent TCP peer whether it is still there, and break the connection when it does not
// answer (tcp(7)). For every stream socket of ours whose peer may vanish, dialled or accepted: the kernel's own
// default waits two hours. Other sockets have none of this, and need none.
void set_keepalive(int socket, const KeepAlive& how = {});

}  // namespace nsrun
