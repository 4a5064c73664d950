#pragma once

namespace nsrun {

// Has the kernel ask a TCP peer that has been silent for a minute whether it is still there, and break the
// connection when it does not answer. For every stream socket of ours whose peer may vanish, dialled or
// accepted: the kernel's own default waits two hours.
void set_keepalive(int socket);

}  // namespace nsrun
