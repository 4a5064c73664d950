#pragma once

#include <vector>

#include "runtime/result.h"

namespace nsrun {

// The descriptors above 2 that an executed program would inherit. Called first thing in main(), it tells
// what nsrun's caller meant for the command (a make jobserver's pipes, for instance).
std::vector<int> inherited_descriptors();

// Closes all descriptors but these and 0 to 2. In the child: what nsrun has open (listeners, sockets into the
// host's network) is nothing the guest may get, and must not outlive nsrun.
Result<void> close_all_but(std::vector<int> kept);

// Points 0, 1 and 2 at /dev/null: who reads the command's output until its end must not wait for us.
void leave_standard_streams();

}  // namespace nsrun
