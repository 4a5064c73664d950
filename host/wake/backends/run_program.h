#pragma once

#include <string>
#include <vector>

#include "runtime/command.h"
#include "runtime/task.h"

namespace nsrun {

struct ProgramResult {
  int status = 0;      // exit status, or 128 + n for signal n
  std::string output;  // standard output and error, 64 KiB at most
};

// Runs a program to its end; it reads nothing. Killed when the limit has passed (an error), or the caller is
// cancelled.
Task<Result<ProgramResult>> run_program(Executor executor, std::vector<std::string> argv,
                                        Clock::duration limit);

// /dev/null, for the standard input of what we start.
Result<UniqueFd> open_nothing();

}  // namespace nsrun
