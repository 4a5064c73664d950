#pragma once

#include <signal.h>

namespace nsrun {

// What a process does with signals, as an executed program inherits it: which are blocked, which ignored.
// Taken when nsrun starts, before it handles any itself, and given back to the command.
class SignalState {
 public:
  static SignalState current();
  // Dispositions and mask as they were; what was handled gets its default.
  void restore() const;

 private:
  sigset_t blocked_;
  sigset_t ignored_;
};

}  // namespace nsrun
