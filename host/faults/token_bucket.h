#pragma once

#include <algorithm>
#include <cstdint>

#include "runtime/task.h"

namespace nsrun {

// When bytes may pass, so that a rate is kept: when their last bit is through, as on a wire. That follows
// from when they came and what went before, not from when somebody looks: a timer that is late costs no
// bandwidth, and an idle time saves none up.
class TokenBucket {
 public:
  // `came`: when the first of the bytes was there. `rate`: bits a second, not 0.
  Clock::time_point take(Clock::time_point came, std::size_t bytes, std::uint64_t rate) {
    const auto start = std::max(came, through_);
    through_ = start + std::chrono::nanoseconds(static_cast<std::int64_t>(static_cast<double>(bytes) * 8e9 /
                                                                          static_cast<double>(rate)));
    return through_;
  }

 private:
  Clock::time_point through_{};
};

}  // namespace nsrun
