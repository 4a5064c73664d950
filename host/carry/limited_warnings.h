#pragma once

#include <string>

#include "host/carry/ledger.h"
#include "runtime/task.h"

namespace nsrun {

// Warnings that a peer causes, as often as it likes: a few are reported at once, then one in a while. What is
// left out is counted, and the next warning says how many.
class LimitedWarnings {
 public:
  static constexpr unsigned at_once = 20;
  static constexpr auto one_in = 10s;

  explicit LimitedWarnings(Ledger& ledger) : ledger_(ledger) {}
  void report(std::string what, Clock::time_point now = Clock::now());

 private:
  Ledger& ledger_;
  unsigned left_ = at_once;
  Clock::time_point refilled_ = Clock::now();
  std::uint64_t left_out_ = 0;
};

}  // namespace nsrun
