#pragma once

#include <string_view>

namespace nsrun {

// Tells the service manager, where there is one (NOTIFY_SOCKET, sd_notify(3)): "READY=1". Nobody is told
// where nobody listens.
void sd_notify(std::string_view state);

}  // namespace nsrun
