#pragma once

#include <string>

#include "runtime/fd.h"
#include "runtime/result.h"

namespace nsrun {

struct PipeEnds {
  UniqueFd reading, writing;
};

// pipe2(2), both ends closed on exec. `doing` begins the error's text; `flags` are added, such as O_NONBLOCK for both.
Result<PipeEnds> make_pipe(const std::string& doing = "cannot make a pipe", int flags = 0);

}  // namespace nsrun
