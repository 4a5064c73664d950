#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/counters.h"
#include "runtime/flow.h"
#include "runtime/shared_text.h"

// What is known of a flow while it lives and when it has ended.

namespace nsrun {

class FlowRecord;

// What happens, for those who keep a record of it. Called on the loop's thread, or with several queues on the
// thread of any, one call at a time; must not block for long.
class Events {
 public:
  virtual ~Events() = default;
  virtual void flow_ended(const FlowRecord&) {}
  virtual void warning(const std::string&) {}
};

// Whoever has a flow in its hands at the moment: the task that decides, dials or relays, or a splice.
class FlowCarrier {
 public:
  // Ends the flow at once, with resets both ways; the record may be gone when this returns. On the flow's own
  // loop, and never in the midst of its work.
  virtual void cut() = 0;

 protected:
  ~FlowCarrier() = default;
};

// The flows that live on one loop, in the order in which they began, and what they moved. Only that loop's
// thread may touch it, but for `totals`, which any may read. A flow costs three pointers, whatever it does.
class LiveFlows {
 public:
  LiveFlows() = default;
  LiveFlows(const LiveFlows&) = delete;

  // Looks at one flow after the other, oldest first. Flows may begin and end meanwhile, the one looked at
  // too.
  class Walk {
   public:
    explicit Walk(LiveFlows& flows) : flows_(flows), next_(flows.first_) { flows_.walks_.push_back(this); }
    ~Walk() { std::erase(flows_.walks_, this); }
    Walk(const Walk&) = delete;
    FlowRecord* next();  // null: that was all

   private:
    friend class LiveFlows;
    LiveFlows& flows_;
    FlowRecord* next_;
  };

  Counters totals;

 private:
  friend class FlowRecord;
  void add(FlowRecord& flow);
  void remove(FlowRecord& flow);

  FlowRecord* first_ = nullptr;
  FlowRecord* last_ = nullptr;
  std::vector<Walk*> walks_;
};

// The record of one flow. It reports the flow's end to `events` when it goes, so whoever holds the flow
// holds its record.
class FlowRecord {
 public:
  FlowRecord(std::uint64_t id, const FlowKey& key, Events& events, LiveFlows& flows,
             Asker asker = Asker::guest);
  ~FlowRecord();
  FlowRecord(const FlowRecord&) = delete;

  // On the data path: one call for each batch moved, not for each packet.
  void moved_up(std::uint64_t bytes, std::uint64_t packets = 1);
  void moved_down(std::uint64_t bytes, std::uint64_t packets = 1);
  // A relay carries this flow's stream, until the guest has finished and all it sent was passed on.
  void relayed_from_guest();
  void guest_finished();
  // The first end that is named stands; one that goes without a name was cut off with its sandbox.
  void ended(FlowEnd how) {
    if (end == FlowEnd::open) end = how;
  }
  std::chrono::system_clock::time_point began() const;
  // What is being dialled; of a name that is resolved here each address. Null: nothing was.
  void dials(const Target& target);
  const Endpoint* dialled_address() const {
    return has_dialled_ && dialled_name_.empty() ? &dialled_ : nullptr;
  }
  std::string dialled() const;  // Target::to_string(); empty: nothing was
  // Who ends it, should it be cut; null: nobody can just now.
  void carried_by(FlowCarrier* carrier) { carrier_ = carrier; }
  // On its way to another thread it is in no list, and in nobody's hands: leave() on this one, enter() there.
  void leave();
  void enter(LiveFlows& flows);
  // Ends the flow, because of `reason`. The record may be gone afterwards.
  void cut(std::string reason);

  const std::uint64_t id;
  const FlowKey key;
  const Asker asker;
  bool allowed = false;
  bool rejected = false;  // refused with an answer (allowed and rejected false: dropped)
  FlowEnd end = FlowEnd::open;

 private:
  // Here for their size: a record lives as long as its flow.
  bool relayed_from_guest_ = false, is_listed_ = true, has_dialled_ = false;

 public:
  SharedText asker_name;  // who asked, where key.source cannot say it; empty elsewhere
  SharedText name;        // the host name the source meant, where it is known
  SharedText rule;        // which rule decided
  SharedText why;         // the error behind a refusal or a failure
  Counter bytes_up, bytes_down, packets_up, packets_down;
  const std::chrono::steady_clock::time_point began_steady = std::chrono::steady_clock::now();

 private:
  friend class LiveFlows;
  Endpoint dialled_;
  SharedText dialled_name_;  // empty: an address was
  Events& events_;
  LiveFlows* flows_;
  FlowCarrier* carrier_ = nullptr;
  FlowRecord* before_ = nullptr;
  FlowRecord* after_ = nullptr;
};

}  // namespace nsrun
