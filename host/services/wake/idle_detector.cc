#include "host/services/wake/idle_detector.h"

#include <algorithm>

namespace nsrun {
namespace {

constexpr int max_batches = 512;  // in a window: what moves within limit / 512 counts as moved at its end

}  // namespace

void IdleDetector::moved(Clock::time_point now, std::uint64_t units) {
  while (!batches_.empty() && batches_.front().last + limit_ <= now) batches_.pop_front();
  if (units == 0) return;
  if (!batches_.empty() && now - batches_.back().first < limit_ / max_batches) {
    batches_.back().last = now;
    batches_.back().units += units;
    return;
  }
  batches_.push_back({now, now, units});
}

Clock::time_point IdleDetector::unused_at() const {
  std::uint64_t sum = 0;
  for (auto batch = batches_.rbegin(); batch != batches_.rend(); ++batch) {
    sum += batch->units;
    // Without this one there are too few.
    if (sum >= least_) return std::max(touched_, batch->last) + limit_;
  }
  return touched_ + limit_;
}

}  // namespace nsrun
