#pragma once

#include "cmd/options.h"

namespace nsrun {

// Runs the command in its sandbox to its end. Its status, or an ExitCode with the reason said on stderr.
int run_command(const RunOptions& options);

}  // namespace nsrun
