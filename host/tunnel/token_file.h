#pragma once

#include <string>

#include "runtime/result.h"

namespace nsrun {

// The token in a file (RFC 6750 2.1), without the white space around it; empty where no file is named. Errors
// have ExitCode::usage.
Result<std::string> read_token(const std::string& path);

}  // namespace nsrun
