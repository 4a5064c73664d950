#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "container/command/signal_state.h"
#include "runtime/result.h"

namespace nsrun {

// How the guest's command is started.
struct GuestCommand {
  std::vector<std::string> argv;  // argv[0] is looked up in PATH
  bool privileged = false;        // keeps the capabilities of the namespace's root
  // In a process group of its own: what it signals as its group is nobody outside.
  bool own_group = false;
  SignalState signals = SignalState::current();
  std::optional<rlim_t> descriptor_limit;  // RLIMIT_NOFILE of it, where that is not ours
  // In the process that is about to become the command, the last thing before.
  std::function<Result<void>()> prepare;
};

// Forks and executes. On success the program runs (exec succeeded). "foo: command not found" with
// ExitCode::not_found, or not_executable, when it does not.
Result<pid_t> start_guest_command(const GuestCommand& command);

}  // namespace nsrun
