#pragma once

#include <sys/types.h>

#include <optional>

#include "container/closed/doorkeeper.h"
#include "runtime/handshake.h"

namespace nsrun {

// Looks after the command from its start to the end of all it left behind: reaps, passes signals on, makes
// sockets for the host, reports.
class Supervisor {
 public:
  // The host's socket is borrowed. SIGCHLD must be blocked. With `linger`, processes that the command left
  // behind may end by themselves; otherwise they end with it. `doors` is a closed sandbox's, borrowed.
  Supervisor(int host, pid_t command, bool linger, Doorkeeper* doors = nullptr)
      : host_(host), command_(command), linger_(linger), doors_(doors) {}

  // The command's status (128 + n for signal n) when no process is left. Nothing when the host went away: all
  // have been killed then.
  std::optional<int> run();

 private:
  enum class State { running, done, host_gone };

  void reap();
  State hear_host();
  void resume(const std::string& stop);
  void pass_signal(int signal) const;
  bool finished();

  int host_;
  pid_t command_;
  bool linger_;
  Doorkeeper* doors_;          // null: none, or nobody sends it requests any more
  std::optional<int> status_;  // the command's, once it ended
  unsigned stops_ = 0;         // how often the command was stopped
  bool stopped_ = false;       // it still is
  bool childless_ = false;     // as of the last reap()
};

}  // namespace nsrun
