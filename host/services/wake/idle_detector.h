#pragma once

#include <cstdint>
#include <deque>

#include "runtime/task.h"

namespace nsrun {

// Says since when something is unused: when fewer than `least` units (bytes, packets) moved within the last
// `limit`. With one unit that is `limit` after the last one.
class IdleDetector {
 public:
  IdleDetector(Clock::duration limit, std::uint64_t least) : limit_(limit), least_(least) {}

  // In use at this moment, whatever moves.
  void touch(Clock::time_point now) { touched_ = now; }
  // So much moved since the last call.
  void moved(Clock::time_point now, std::uint64_t units);
  // What moved until now counts for nothing any more.
  void forget() { batches_.clear(); }
  // When it is, or was, unused, if nothing happens any more.
  Clock::time_point unused_at() const;

 private:
  // What moved in a while; `last` is when anything did.
  struct Batch {
    Clock::time_point first, last;
    std::uint64_t units;
  };

  const Clock::duration limit_;
  const std::uint64_t least_;
  Clock::time_point touched_{};
  std::deque<Batch> batches_;  // oldest first, none older than limit_; a bounded number
};

}  // namespace nsrun
