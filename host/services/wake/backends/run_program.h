#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/command.h"
#include "runtime/task.h"

namespace nsrun {

struct ProgramResult {
  int status = 0;      // exit status, or 128 + n for signal n
  std::string output;  // standard output and error, 64 KiB at most
};

// Runs a program to its end; it reads nothing. Killed with all of its process group when the limit has passed
// (an error), or the caller is cancelled. argv[0] is looked up in PATH.
Task<Result<ProgramResult>> run_program(Executor executor, std::vector<std::string> argv,
                                        Clock::duration limit);

// /dev/null, for the standard input of what we start.
Result<UniqueFd> open_nothing();

// A child in a process group of its own, whose descriptors begin with the standard ones. `last_signal`: what
// it gets when we have gone. `argv` is read when it starts.
Command grouped_command(const std::vector<std::string>& argv, int last_signal);
Result<Process> start_grouped(Command& command);
// To all of its group; one that has left it is alone.
void signal_group(const Process& process, int signal);

// Readable once it has ended. Who waits keeps it.
Result<std::shared_ptr<Descriptor>> end_of(const Process& process, Executor executor);

}  // namespace nsrun
