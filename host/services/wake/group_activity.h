#pragma once

#include <string>
#include <vector>

#include "host/services/wake/group_options.h"
#include "host/services/wake/idle_detector.h"
#include "runtime/flow_record.h"

namespace nsrun {

// Since when a group is unused, read from the counters of its flows, which may be those of several listeners.
// On one loop.
class GroupActivity {
 public:
  explicit GroupActivity(const WakeGroupOptions& options)
      : options_(options), clock_(options.idle, options.least) {}

  // Flows to this group (a listener may lead to others, too). They outlive it.
  void add(LiveFlows& flows) { flows_.push_back(&flows); }

  // In use at this moment, whatever moves.
  void touch(Clock::time_point now) { clock_.touch(now); }
  // A client connects, or sends its first datagram.
  void arrival(Clock::time_point now);
  // Counts what moved since the last call.
  void count(Clock::time_point now);
  // What moved until now counts for nothing.
  void skip();
  // When it is, or was, unused, if nothing happens any more.
  Clock::time_point unused_at() const { return clock_.unused_at(); }

  bool has_flows() const;
  // Packets from clients of open connections since the last count() or skip().
  std::uint64_t packets_from_clients() const;
  // Ends the flows of datagrams of which something was relayed.
  void cut_datagrams(const std::string& reason);

 private:
  Counters totals() const;

  const WakeGroupOptions& options_;
  std::vector<LiveFlows*> flows_;
  IdleDetector clock_;
  Counters counted_;
};

}  // namespace nsrun
