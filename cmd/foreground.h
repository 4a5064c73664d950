#pragma once

#include <sys/types.h>

#include "runtime/fd.h"

namespace nsrun {

// The foreground process group of the terminal, which a shell inside may make its own and leave behind: in a
// pid namespace it sees no number of the group that had it before.
class Foreground {
 public:
  // Takes down which group has the terminal. Without a terminal nothing here does anything.
  Foreground();

  // Takes it down again: another job may have had the terminal since.
  void look_again();
  // For when nothing of the sandbox runs any more: if the terminal is left to a group without processes,
  // gives it back. SIGTTOU must be ignored.
  void give_back() const;

 private:
  UniqueFd terminal_;
  pid_t group_ = -1;
};

}  // namespace nsrun
