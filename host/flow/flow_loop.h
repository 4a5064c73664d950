#pragma once

#include "runtime/flow_record.h"
#include "runtime/task.h"

namespace nsrun {

// A loop and the flows that live on it, for those who look at all flows of a sandbox: they go there by
// run_on.
struct FlowLoop {
  asio::io_context& context;
  LiveFlows& flows;
};

}  // namespace nsrun
