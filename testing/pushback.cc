#include "testing/pushback.h"

#include <algorithm>

namespace nsrun::testing {

Task<Result<Chunk>> Pushback::read(MutableBytes into) {
  if (given_ == first_.size()) co_return co_await inner_->read(into);
  const auto rest = Bytes(first_).subspan(given_);
  const auto size = std::min(rest.size(), into.size());
  std::copy_n(rest.begin(), size, into.begin());
  given_ += size;
  co_return Chunk{size, false};
}

}  // namespace nsrun::testing
