#include "host/names/fair_semaphore.h"

#include <algorithm>
#include <utility>

namespace nsrun {

FairSemaphore::Place FairSemaphore::try_take() {
  if (free_ == 0) return nullptr;
  --free_;
  return Place(this);
}

Task<FairSemaphore::Place> FairSemaphore::take(Asker asker) {
  if (auto place = try_take()) co_return place;
  if (waiting_ >= max_waiting_) co_return nullptr;
  Waiting self{Signal(executor_)};
  turn_of(asker).waiting.push_back(&self);
  ++waiting_;
  const Leave leave{*this, asker, self};
  co_await self.called.wait();
  self.has_place = false;  // from here on the place is the caller's
  co_return Place(this);
}

FairSemaphore::Leave::~Leave() {
  for (auto turn = places.turns_.begin(); turn != places.turns_.end(); ++turn) {
    if (turn->asker != asker || std::erase(turn->waiting, &waiting) == 0) continue;
    --places.waiting_;
    if (turn->waiting.empty()) places.turns_.erase(turn);
    break;
  }
  if (waiting.has_place) places.give_back();
}

FairSemaphore::Turn& FairSemaphore::turn_of(Asker asker) {
  const auto found =
      std::find_if(turns_.begin(), turns_.end(), [&](const Turn& t) { return t.asker == asker; });
  return found == turns_.end() ? turns_.emplace_back(Turn{asker, {}}) : *found;
}

void FairSemaphore::give_back() {
  if (turns_.empty()) {
    ++free_;
    return;
  }
  Turn& turn = turns_.front();
  Waiting& next = *turn.waiting.front();
  turn.waiting.pop_front();
  --waiting_;
  next.has_place = true;
  next.called.raise();
  if (turn.waiting.empty())
    turns_.pop_front();
  else
    turns_.splice(turns_.end(), turns_, turns_.begin());
}

}  // namespace nsrun
