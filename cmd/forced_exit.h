#pragma once

#include <sys/types.h>

#include <functional>

#include "runtime/task.h"

namespace nsrun {

// A second SIGTERM ends nsrun whatever the command does about it: a command that lives goes on for a while
// (`max_end`), one that the kernel keeps from ending (a file system that does not answer) is left behind
// after a second.
class ForcedExit {
 public:
  struct Sandbox {
    pid_t agent;  // whose children the command is among
    std::function<bool()> is_over;
    std::function<void()> give_up;  // called unless it is over by then
  };
  // What `sandbox` calls outlives the context.
  ForcedExit(asio::io_context& context, Sandbox sandbox) : context_(context), sandbox_(std::move(sandbox)) {}

  // nsrun was sent a SIGTERM.
  void terminated();

 private:
  asio::io_context& context_;
  const Sandbox sandbox_;
  int times_ = 0;
};

// Whether the kernel keeps this process or a child of its from ending at this moment (state D of
// proc_pid_stat(5)).
bool is_kept_by_kernel(pid_t process);

}  // namespace nsrun
