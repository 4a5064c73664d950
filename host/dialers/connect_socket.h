#pragma once

#include <string>

#include "runtime/address.h"
#include "runtime/fd.h"
#include "runtime/task.h"

namespace nsrun {

// Connects a non-blocking stream socket and gives it back, registered nowhere. `doing` opens the error's
// line; its code is connect's errno.
Task<Result<UniqueFd>> connect_socket(Executor executor, UniqueFd socket, SocketAddress address,
                                      std::string doing);

}  // namespace nsrun
