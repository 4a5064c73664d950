#pragma once

#include "runtime/task.h"

namespace nsrun {

// Somebody else's descriptor in the reactor, while this lives. Letting go takes it out again. Closing a copy
// would not: epoll keeps a file until its last descriptor is closed, and the others are not ours.
class Watched {
 public:
  Watched(Executor executor, int file) : descriptor_(executor) {
    boost::system::error_code failure;
    descriptor_.assign(file, failure);
  }
  ~Watched() {
    if (descriptor_.is_open()) descriptor_.release();
  }
  Watched(const Watched&) = delete;
  Descriptor& operator*() { return descriptor_; }

 private:
  Descriptor descriptor_;
};

}  // namespace nsrun
