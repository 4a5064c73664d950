#pragma once

#include <deque>
#include <list>
#include <memory>
#include <optional>

#include "runtime/task.h"

namespace nsrun {

// A bounded number of places. Where all are taken, callers wait, and the askers among them get the next
// places in turn, however many callers each of them has.
class FairSemaphore {
 public:
  using Asker = const void*;  // only compared

  FairSemaphore(Executor executor, std::size_t places, std::size_t max_waiting)
      : executor_(executor), free_(places), max_waiting_(max_waiting) {}
  FairSemaphore(const FairSemaphore&) = delete;

  struct GiveBack {
    void operator()(FairSemaphore* places) const { places->give_back(); }
  };
  using Place = std::unique_ptr<FairSemaphore, GiveBack>;

  // A place, where one is free; null: all are taken. This outlives the place.
  Place try_take();
  // Waits for a place; null: max_waiting callers wait already.
  Task<Place> take(Asker asker);

 private:
  // Of one caller, on its stack.
  struct Waiting {
    Signal called;
    bool has_place = false;
  };
  struct Turn {
    Asker asker;
    std::deque<Waiting*> waiting;  // never empty between two calls
  };
  // Takes a caller that no longer waits out of its queue; gives back a place that it was given.
  struct Leave {
    ~Leave();
    FairSemaphore& places;
    Asker asker;
    Waiting& waiting;
  };

  Turn& turn_of(Asker asker);
  void give_back();

  Executor executor_;
  std::size_t free_;
  const std::size_t max_waiting_;
  std::size_t waiting_ = 0;
  std::list<Turn> turns_;  // the front is next
};

}  // namespace nsrun
