#pragma once

#include <boost/asio/io_context.hpp>
#include <thread>

#include "runtime/task.h"

namespace nsrun {

// Ends the process, with the status of SIGTERM, when its loop does not go on within `limit` of a SIGTERM: a
// file of its own (a log, a policy) may be on a file system that does not answer, and then nobody takes
// signals.
class LoopWatchdog {
 public:
  static constexpr auto usual_limit = 10s;

  // Has a thread of its own. Where SIGTERM is blocked it is left to whoever reads it; else it is one of those
  // that Asio's signal sets hand on. The loop outlives this.
  explicit LoopWatchdog(asio::io_context& loop, Clock::duration limit = usual_limit);
  ~LoopWatchdog();

 private:
  Task<> watch_blocked();
  Task<> watch_handled();
  Task<> expect_life();

  asio::io_context& loop_;
  const Clock::duration limit_;
  asio::io_context own_{1};
  std::thread thread_;
};

}  // namespace nsrun
