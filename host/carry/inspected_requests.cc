#include "host/carry/inspected_requests.h"

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
    if (!hold(into.first(chunk->size)))
      co_return refused({"its HTTP cannot be read", errno_code(ENOBUFS),
                         "the sandbox has reached its --network-memory limit"});
    const auto agreed = requests_.agreed(held_);
    if (!agreed) co_return refused(agreed.error());
    open_ = *agreed;
  }
  const std::size_t size = std::min(open_, into.size());
  const auto end = held_.begin() + static_cast<std::ptrdiff_t>(size);
  std::copy(held_.begin(), end, into.begin());
  held_.erase(held_.begin(), end);
  open_ -= size;
  if (held_.empty()) {
    held_.shrink_to_fit();
    memory_.release();
  }
  co_return Chunk{size, false};
}

bool InspectedRequests::hold(Bytes bytes) {
  const std::size_t size = held_.size() + bytes.size(), room = held_.capacity();
  if (size > room) {
    const std::size_t wanted = std::max(size, room + room / 2);
    // A quarter more: what the allocator loses between blocks that grow.
    if (!memory_.add((wanted - room) * 5 / 4, MemoryUse::ahead)) return false;
    held_.reserve(wanted);
  }
  held_.insert(held_.end(), bytes.begin(), bytes.end());
  return true;
}

Error InspectedRequests::refused(Error why) {
  record_.allowed = false;
  record_.rejected = true;
  record_.why = why.message();
  record_.ended(FlowEnd::refused);
  return why;
}

}  // namespace nsrun
