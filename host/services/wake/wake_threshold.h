#pragma once

#include "host/services/wake/group_options.h"
#include "host/services/wake/idle_detector.h"

namespace nsrun {

// Whether clients of a sleeping group have sent enough for it to be started (WakeGroupOptions::wake_least).
// A connection counts as the three packets of its handshake; each datagram, and each 1460 bytes that a
// waiting client has sent, as one.
class WakeThreshold {
 public:
  explicit WakeThreshold(const WakeGroupOptions& options)
      : least_(options.wake_least),
        clock_(options.idle > Clock::duration{} ? options.idle : options.start_limit, options.wake_least) {}

  bool has_threshold() const { return least_ > 1; }
  void count(Clock::time_point now, std::uint64_t packets) {
    clock_.moved(now, packets);
    reached_ = reached_ || now < clock_.unused_at();
  }
  // Once reached it stays so, however long the start takes, until reset() or forget().
  bool is_reached() const { return reached_ || !has_threshold(); }
  // Nobody waits any more; what was sent lately still counts.
  void reset() { reached_ = false; }
  void forget() {
    reset();
    clock_.forget();
  }

 private:
  const std::uint64_t least_;
  IdleDetector clock_;
  bool reached_ = false;
};

}  // namespace nsrun
