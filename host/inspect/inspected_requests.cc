#include "host/inspect/inspected_requests.h"

#include <algorithm>

namespace nsrun {

Task<Result<Chunk>> InspectedRequests::read(MutableBytes into) {
  while (open_ == 0) {
    const auto chunk = co_await guest_->read(into);
    if (!chunk) co_return chunk;
    // Half a request might be understood by who gets it, as whole.
    if (chunk->end && !held_.empty())
      co_return refused({"its HTTP does not agree", errno_code(EACCES), "it ends within a request's head"});
    if (chunk->end) co_return chunk;
    held_.insert(held_.end(), into.begin(), into.begin() + static_cast<std::ptrdiff_t>(chunk->size));
    const auto agreed = requests_.agreed(held_);
    if (!agreed) co_return refused(agreed.error());
    open_ = *agreed;
  }
  const std::size_t size = std::min(open_, into.size());
  const auto end = held_.begin() + static_cast<std::ptrdiff_t>(size);
  std::copy(held_.begin(), end, into.begin());
  held_.erase(held_.begin(), end);
  open_ -= size;
  co_return Chunk{size, false};
}

Error InspectedRequests::refused(Error why) {
  record_.allowed = false;
  record_.rejected = true;
  record_.why = why.message();
  record_.ended(FlowEnd::refused);
  return why;
}

}  // namespace nsrun
