#pragma once

#include "host/control/control_client.h"

namespace nsrun {

// All live flows, asked for in as many requests as it takes.
Result<boost::json::array> all_flows(ControlClient& client);

// The live flows, those that move most first, anew each second until `q` or Ctrl-C; once, where the output is
// no terminal. The exit status, or why the sandbox cannot be asked any more.
Result<int> show_top(ControlClient& client);

}  // namespace nsrun
