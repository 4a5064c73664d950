#pragma once

#include <cstdint>

#include "runtime/task.h"

namespace nsrun {

// When bytes may pass, so that a rate is kept. What passes is due when its last bit would be through, as on a
// wire. Whoever comes late for it may make up for as much as `slack`; an idle time earns nothing more.
class TokenBucket {
 public:
  static constexpr auto slack = 20ms;  // of lateness: timers and schedulers

  // `rate`: bits a second, not 0.
  Clock::time_point take(Clock::time_point now, std::size_t bytes, std::uint64_t rate) {
    const auto start = now - through_ > slack ? now : through_;
    through_ = start + std::chrono::nanoseconds(static_cast<std::int64_t>(static_cast<double>(bytes) * 8e9 /
                                                                          static_cast<double>(rate)));
    return through_;
  }

 private:
  Clock::time_point through_{};
};

}  // namespace nsrun
