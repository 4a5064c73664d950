#pragma once

#include <functional>

#include "runtime/task.h"

namespace nsrun {

// What can be started when somebody asks for it, and stopped when nobody does: containers, a process, a unit
// of systemd. Calls come one at a time. None ends the process: what fails is an error, and asked again later.
class Backend {
 public:
  virtual ~Backend() = default;

  // `starting`: it is on its way, or not ready yet. `partly`: some of it runs and the rest does not, so that
  // it is of no use, and is to be stopped all the same.
  enum class Status : std::uint8_t { idle, partly, starting, running };
  virtual Task<Result<Status>> status() = 0;

  // Asks for it: done once that was taken, whether or not it is ready. What runs already is a success.
  virtual Task<Result<void>> start() = 0;
  // Done once it has stopped. What is stopped already is a success.
  virtual Task<Result<void>> stop() = 0;

  // As long as this runs, `changed` is called when status() may have another answer. Runs until cancelled;
  // ends at once where nobody tells.
  virtual Task<> watch(std::function<void()> changed) {
    (void)changed;
    co_return;
  }
  // Who was told that it runs was refused there: what status() remembers is not to be trusted.
  virtual void doubt() {}
  // We end. What would not outlive us is stopped.
  virtual Task<> end() { co_return; }
  // How often status() is to be asked: while it starts, and otherwise.
  struct Pace {
    Clock::duration starting, otherwise;
  };
  virtual Pace pace() const = 0;
};

}  // namespace nsrun
