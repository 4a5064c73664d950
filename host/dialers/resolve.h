#pragma once

#include <string>
#include <vector>

#include "runtime/address.h"
#include "runtime/task.h"

namespace nsrun {

// The host's addresses for a name, in the order to try them (RFC 6724, as getaddrinfo gives them); never
// empty. The error's code is EHOSTUNREACH: that is what the asker can be told.
Task<Result<std::vector<IpAddress>>> resolve(Executor executor, const std::string& name);

}  // namespace nsrun
