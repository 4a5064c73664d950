#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace nsrun {

// A value that never changes, and can be replaced as a whole. For any thread; who has loaded it keeps it.
//
// std::atomic<std::shared_ptr> would be that, but libstdc++'s load() (GCC 12, bits/shared_ptr_atomic.h) lets
// its lock go with memory_order_relaxed: a later store() is not ordered after what was read under it. A
// weakly ordered processor may then load one value's address with another's count.
template <class T>
class Replaceable {
 public:
  using Value = std::shared_ptr<const T>;

  explicit Replaceable(Value value = nullptr) : value_(std::move(value)) {}

  Value load() const {
    const std::lock_guard hold(lock_);
    return value_;
  }
  // A parameter goes after the lock: with what was there, which may take long.
  void store(Value value) {
    const std::lock_guard hold(lock_);
    value_.swap(value);
  }

 private:
  mutable std::mutex lock_;
  Value value_;
};

}  // namespace nsrun
