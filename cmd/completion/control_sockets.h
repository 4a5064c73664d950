#pragma once

#include <string>
#include <vector>

namespace nsrun {

// The control sockets of the nsrun processes that run now, as their command lines name them (--control),
// where they can be reached from this directory and answer. Sorted; empty where /proc shows none.
std::vector<std::string> live_control_sockets();

}  // namespace nsrun
