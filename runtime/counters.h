#pragma once

#include <atomic>
#include <cstdint>

namespace nsrun {

// A number that one thread changes and any may read.
class Counter {
 public:
  Counter() = default;
  Counter(const Counter& other) : value_(other) {}
  Counter& operator=(const Counter& other) { return value_.store(other, std::memory_order_relaxed), *this; }
  operator std::uint64_t() const { return value_.load(std::memory_order_relaxed); }
  void operator+=(std::uint64_t by) { value_.store(*this + by, std::memory_order_relaxed); }
  void operator-=(std::uint64_t by) { value_.store(*this - by, std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_ = 0;
};

// Totals since the start, over live and ended flows. Up is away from the one who asked.
struct Counters {
  struct Stream {
    Counter connections, bytes_up, bytes_down;
  } tcp;
  struct Datagram {
    Counter flows, packets_up, packets_down, bytes_up, bytes_down;
  } udp, icmp;
  // Live relays (not counting flows that the stack carries by itself) on which the guest has not finished.
  Counter relays_from_guest;

  Counters& operator+=(const Counters& other);
};

}  // namespace nsrun
