#pragma once

#include "runtime/fd.h"
#include "runtime/flow_record.h"
#include "runtime/task.h"

namespace nsrun {

// Relays two connected kernel stream sockets, both ways, until both directions are finished or one breaks.
// `near` asked, `far` was dialled. Bytes go through a pipe by splice(2), without coming up to us, as long as
// there are pipes (host/flow/pipe_pool.h).
Task<> relay_sockets(Executor executor, UniqueFd near, UniqueFd far, FlowRecord& record);

}  // namespace nsrun
