#pragma once

#include <chrono>

namespace nsrun {

// What a stack that has nothing to do spends on being quick when there is something again.
enum class Latency {
  automatic,  // looks on for up to 50 µs while that finds something more often than not
  low,        // looks on for up to 1 ms, always
  cpu,        // sleeps at once
};

// That this process may run on (sched_getaffinity(2)).
unsigned usable_processors();

// Whether to go on looking for work before sleeping: to be woken costs 5 to 50 µs, which is most of a short
// request's time, and looking costs a processor. So it is done while it pays: when pauses, whether they were
// slept or looked through, have lately been short.
class IdleSpin {
 public:
  using Duration = std::chrono::steady_clock::duration;

  // `processors`: that this process may use. With one, whoever looks on keeps the others from working.
  IdleSpin(Latency latency, unsigned processors)
      : latency_(processors > 1 || latency == Latency::low ? latency : Latency::cpu) {}

  // How long to look on now; zero: sleep.
  Duration budget() const {
    if (latency_ == Latency::low) return low_limit;
    return latency_ == Latency::automatic && score_ >= threshold ? limit : Duration::zero();
  }

  // There was something to do again after `pause`; `slept`: for part of it, so that it includes a wake-up.
  void paused(Duration pause, bool slept) {
    const bool was_short = pause < (slept ? limit + wake_up : limit);
    score_ += was_short ? (most - score_) / 8 : -(score_ / 8);
  }

 private:
  static constexpr Duration limit = std::chrono::microseconds(50);
  static constexpr Duration low_limit = std::chrono::milliseconds(1);
  static constexpr Duration wake_up = std::chrono::microseconds(50);
  static constexpr int most = 1024, threshold = 512;  // a moving average of short pauses

  const Latency latency_;
  int score_ = 0;
};

}  // namespace nsrun
