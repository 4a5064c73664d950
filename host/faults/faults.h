#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <set>

#include "host/faults/fault_spec.h"
#include "runtime/replaceable.h"
#include "runtime/seeded_random.h"
#include "runtime/task.h"

namespace nsrun {

// The faults of one rule, shared by all its flows and changed for all of them at once. For any thread.
class Faults {
 public:
  static constexpr std::uint64_t usual_seed = 1;

  // `rule`: what the rule matches; with the seed it decides what happens to its first flow, its second …
  explicit Faults(FaultSpec spec, std::string rule = {}, std::uint64_t seed = usual_seed);

  std::shared_ptr<const FaultSpec> spec() const { return spec_.load(); }
  // From here on, for flows that live too. Packets follow where some packet fault was there at the start.
  void replace(FaultSpec spec);

  std::uint64_t next_flow() { return flows_++; }
  SeededRandom chance(std::uint64_t flow, SeededRandom::Part part) const {
    return {seed_, rule_, flow, part};
  }
  // Null where no packet had any fault at the start.
  const std::shared_ptr<PacketFaults>& packets() const { return packets_; }

  // Calls `changed` on the executor's loop after each replace(). Made and destroyed on that loop; `faults`
  // outlive it.
  class Watch {
   public:
    Watch(Faults& faults, Executor executor, std::function<void()> changed);
    ~Watch();
    Watch(const Watch&) = delete;

   private:
    friend Faults;
    Faults& faults_;
    Executor executor_;
    std::shared_ptr<std::function<void()>> changed_;  // posted calls know by it whether the watch is there
  };

 private:
  const std::string rule_;
  const std::uint64_t seed_;
  Replaceable<FaultSpec> spec_;
  std::atomic<std::uint64_t> flows_ = 0;
  std::shared_ptr<PacketFaults> packets_;
  std::mutex lock_;  // of watches_; while it is held, their loops live
  std::set<Watch*> watches_;
};

}  // namespace nsrun
