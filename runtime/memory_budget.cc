#include "runtime/memory_budget.h"

namespace nsrun {

bool MemoryBudget::take(std::size_t bytes, MemoryUse use) {
  const std::size_t limit = limit_for(use);
  for (std::size_t used = this->used(); used + bytes <= limit;)
    if (used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed)) return true;
  return false;
}

// A whole block where there is room for one, else what is missing.
bool MemoryShare::draw(std::size_t bytes, MemoryUse use) {
  const std::size_t missing = bytes - unused_;
  for (const std::size_t size : {missing + block, missing}) {
    if (!budget_.take(size, use)) continue;
    unused_ += size;
    return true;
  }
  return false;
}

void MemoryShare::draw_always(std::size_t bytes) {
  const std::size_t missing = bytes - unused_;
  budget_.take_always(missing);
  unused_ += missing;
}

void MemoryShare::return_blocks() { budget_.give_back(std::exchange(unused_, block) - block); }

}  // namespace nsrun
