#pragma once

#include <atomic>
#include <cstddef>
#include <limits>
#include <utility>

// What peers can make this process hold for one owner: a sandbox, or a service. Everything with a size that a
// peer influences (flows, buffers, waiting datagrams, half-read heads) is charged when it is allocated, and
// given back when it is freed. See "Memory" in docs/architecture.md for what each resource costs.
//
//   MemoryBudget ◄── blocks of 64 KiB ── MemoryShare, one for each loop ◄── bytes ── MemoryCharge of a holder
//
// A holder is refused by what it wants memory for: new flows first, then more for flows that hold something
// already, and last what a flow needs to move at all. So flows that exist go on while new ones are refused.

namespace nsrun {

enum class MemoryUse {
  new_flow,  // refused past 3/4 of the limit
  ahead,     // more for a flow that holds something already: refused past 7/8 of the limit
  progress,  // the least with which a flow goes on: refused at the limit
  relief,    // frees memory (an acknowledgement), and is gone at once: never refused
};

// For any thread.
class MemoryBudget {
 public:
  static constexpr std::size_t default_limit = 512 << 20;  // bytes
  static constexpr std::size_t min_limit = 64 << 20;       // bytes: an option may not ask for less

  explicit MemoryBudget(std::size_t limit = default_limit) : limit_(limit) {}
  MemoryBudget(const MemoryBudget&) = delete;

  std::size_t limit() const { return limit_; }
  std::size_t used() const { return used_.load(std::memory_order_relaxed); }  // bytes
  // Whether `bytes` more would be granted now.
  bool has_room(std::size_t bytes, MemoryUse use) const { return used() + bytes <= limit_for(use); }
  // False: refused, and nothing was taken.
  bool take(std::size_t bytes, MemoryUse use);
  // For what exists already.
  void take_always(std::size_t bytes) { used_.fetch_add(bytes, std::memory_order_relaxed); }
  void give_back(std::size_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }
  // True once: the first refusal is worth a warning.
  bool is_first_refusal() { return !refused_.exchange(true, std::memory_order_relaxed); }

 private:
  std::size_t limit_for(MemoryUse use) const {
    switch (use) {
      case MemoryUse::new_flow:
        return limit_ / 4 * 3;
      case MemoryUse::ahead:
        return limit_ / 8 * 7;
      case MemoryUse::progress:
        return limit_;
      case MemoryUse::relief:
        break;
    }
    return std::numeric_limits<std::size_t>::max();
  }

  const std::size_t limit_;  // bytes
  std::atomic<std::size_t> used_ = 0;
  std::atomic<bool> refused_ = false;
};

// One loop's part of a budget. Hot path: it draws from the budget in blocks, so a charge costs a read of the
// budget and an addition, and no atomic write. Only the loop's thread may use it.
class MemoryShare {
 public:
  static constexpr std::size_t block = 64 << 10;  // bytes; a share keeps up to three of them unused

  // `budget` outlives the share, and the share every charge.
  explicit MemoryShare(MemoryBudget& budget) : budget_(budget) {}
  ~MemoryShare() { budget_.give_back(unused_); }
  MemoryShare(const MemoryShare&) = delete;

  MemoryBudget& budget() { return budget_; }
  bool has_room(std::size_t bytes, MemoryUse use) const {
    return budget_.has_room(bytes > unused_ ? bytes - unused_ : 0, use);
  }
  bool take(std::size_t bytes, MemoryUse use) {
    if (!has_room(bytes, use)) return false;
    if (bytes > unused_ && !draw(bytes, use)) return false;
    unused_ -= bytes;
    return true;
  }
  void take_always(std::size_t bytes) {
    if (bytes > unused_) draw_always(bytes);
    unused_ -= bytes;
  }
  void give_back(std::size_t bytes) {
    unused_ += bytes;
    if (unused_ > 3 * block) return_blocks();
  }

 private:
  bool draw(std::size_t bytes, MemoryUse use);
  void draw_always(std::size_t bytes);
  void return_blocks();

  MemoryBudget& budget_;
  std::size_t unused_ = 0;  // bytes drawn and not charged to anybody
};

// Bytes that one holder has been granted, given back when it goes. Without a share nothing is counted, and
// everything is granted.
class MemoryCharge {
 public:
  MemoryCharge() = default;
  explicit MemoryCharge(MemoryShare* share) : share_(share) {}
  MemoryCharge(MemoryCharge&& other) noexcept
      : share_(other.share_), bytes_(std::exchange(other.bytes_, 0)) {}
  MemoryCharge& operator=(MemoryCharge&& other) noexcept {
    std::swap(share_, other.share_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MemoryCharge() { release(); }

  std::size_t bytes() const { return bytes_; }
  // The holder wants `bytes` more. False: refused, and it holds what it held.
  bool add(std::size_t bytes, MemoryUse use) {
    if (share_ && !share_->take(bytes, use)) return false;
    bytes_ += bytes;
    return true;
  }
  void add_always(std::size_t bytes) {
    if (share_) share_->take_always(bytes);
    bytes_ += bytes;
  }
  void subtract(std::size_t bytes) {
    if (share_) share_->give_back(bytes);
    bytes_ -= bytes;
  }
  void release() { subtract(bytes_); }

 private:
  MemoryShare* share_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace nsrun
