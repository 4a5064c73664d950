#pragma once

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <mutex>
#include <optional>
#include <vector>

#include "netstack/devices/device.h"
#include "netstack/packet.h"
#include "netstack/poller.h"
#include "runtime/fd.h"
#include "runtime/flow.h"
#include "runtime/memory_budget.h"

namespace nsrun {

// Packets that came to another queue than their flow's, on their way to its stack. Any thread may push; the
// stack's own thread takes them when its poller says so.
class StrayQueue {
 public:
  struct Stray {
    std::vector<std::byte> packet;
    Offload offload;
    std::optional<FlowKey> taken_over = {};  // no packet: another stack has this flow's key from now on
  };
  static constexpr std::size_t most = 1024;  // packets; more are lost, as in any full queue

  // Packets that wait are charged to `memory`, which outlives the queue.
  explicit StrayQueue(MemoryBudget& memory);
  ~StrayQueue() { take(); }
  int fd() const { return event_.get(); }
  void push(Stray stray);
  std::vector<Stray> take();

 private:
  static std::size_t cost_of(const Stray& stray) { return stray.packet.size() + 64; }

  UniqueFd event_;
  MemoryBudget& memory_;
  std::mutex lock_;
  std::vector<Stray> strays_;
};

// The stacks of one sandbox, one for each queue of its device and each on a thread of its own, seen as one.
//
// The kernel keeps both directions of a flow on one queue (drivers/net/tun.c, tun_automq_select_queue): the
// one we wrote to within the last three seconds, or else one that a hash of addresses and ports chooses. So a
// packet can come to a queue whose stack does not have its flow: a fragment, which is hashed without ports; a
// packet of a connection that we opened, after a pause. Which stack has a flow is written down here. A packet
// that finds no flow where it came asks here before it begins one, and goes where its flow is.
class StackGroup {
 public:
  // The flow lives with `home` from now on, unless it does elsewhere.
  void claim(const FlowKey& key, StrayQueue& home);
  void release(const FlowKey& key, const StrayQueue& home);
  // True: the flow lives elsewhere, and the packet is on its way there.
  bool pass_on(const FlowKey& key, const StrayQueue& from, const Packet& packet, const Offload& offload);
  // The flow lives with `home` from now on, and elsewhere no more. False: it lived nowhere.
  bool take_over(const FlowKey& key, StrayQueue& home);
  // Whether a stack other than `here` has the flow.
  bool is_elsewhere(const FlowKey& key, const StrayQueue& here);

 private:
  // Flows go by their hash, 64 bits with a seed: should two ever share one, a stray packet is lost.
  struct Shard {
    std::mutex lock;
    boost::unordered_flat_map<std::size_t, StrayQueue*> homes;
  };
  Shard& shard_of(std::size_t hash) { return shards_[hash % shards_.size()]; }

  std::array<Shard, 61> shards_;
};

}  // namespace nsrun
