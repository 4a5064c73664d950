#pragma once

#include "runtime/task.h"

namespace nsrun {

// A wait for a time, or for whoever knows that there is something to look at before it. One waits at a time,
// and looks again when it wakes: ringing with nobody waiting does nothing.
class AsyncTimer {
 public:
  explicit AsyncTimer(Executor executor) : timer_(executor) {}
  void ring() { timer_.cancel(); }
  Task<> wait_until(Clock::time_point when = Clock::time_point::max());  // throws when the task is cancelled

 private:
  Timer timer_;
};

}  // namespace nsrun
