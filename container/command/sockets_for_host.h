#pragma once

#include "runtime/handshake.h"

namespace nsrun {

// Answers make_sockets: sockets of this process's network namespace, fewer than were asked for where no more
// can be had.
void make_sockets_for(int host, const Message& request);

}  // namespace nsrun
