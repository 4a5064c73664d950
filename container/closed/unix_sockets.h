#pragma once

#include <string>
#include <vector>

#include "runtime/result.h"

namespace nsrun {

// The paths of all unix sockets that are bound to one in the current network namespace, whatever mount
// namespace they were bound in: some lead nowhere here, or to something else.
Result<std::vector<std::string>> bound_unix_paths();

}  // namespace nsrun
