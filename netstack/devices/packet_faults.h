#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "runtime/replaceable.h"
#include "runtime/seeded_random.h"

namespace nsrun {

// What happens to packets on one way: shares, 0 to 1.
struct PacketWayFaults {
  double loss = 0, duplicate = 0, reorder = 0;
  bool operator==(const PacketWayFaults&) const = default;
};

struct PacketFaultSpec {
  PacketWayFaults up, down;  // from the guest, and to it
  bool any() const { return *this != PacketFaultSpec{}; }
  bool operator==(const PacketFaultSpec&) const = default;
};

// The faults of a device that is asked for them, changeable while it runs. For any thread.
class PacketFaults {
 public:
  PacketFaults(const PacketFaultSpec& spec, std::uint64_t seed)
      : seed_(seed), spec_(std::make_shared<const PacketFaultSpec>(spec)) {}
  std::shared_ptr<const PacketFaultSpec> spec() const { return spec_.load(); }
  // Each device, one for each queue, has luck of its own, and each way.
  std::uint64_t next_device() { return devices_++; }
  SeededRandom chance(std::uint64_t device, SeededRandom::Part way) const {
    return {seed_, "packets", device, way};
  }
  void replace(const PacketFaultSpec& spec) { spec_.store(std::make_shared<const PacketFaultSpec>(spec)); }

 private:
  const std::uint64_t seed_;
  std::atomic<std::uint64_t> devices_ = 0;
  Replaceable<PacketFaultSpec> spec_;
};

}  // namespace nsrun
