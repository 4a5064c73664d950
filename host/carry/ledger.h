#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>

#include "host/flow/policy.h"
#include "host/flow/recent_names.h"
#include "runtime/flow_record.h"
#include "runtime/result.h"

namespace nsrun {

// Where a sandbox's flows are written down: their numbers, their records, and the names they go by. For any
// thread: `events` hears one at a time.
class Ledger final : public Events {
 public:
  // `events` outlives the ledger and every record.
  explicit Ledger(Events& events) : events_(events) {}

  // `flows`: of the thread that carries the flow.
  std::unique_ptr<FlowRecord> open(const FlowKey& key, Asker asker, LiveFlows& flows);
  // The name lately resolved to this address, for the record: a hint.
  SharedText name_of(const IpAddress& address) { return names.name_of(address); }
  // A rule wants it said that this flow begins, or is refused.
  void tell(const FlowRecord& record, const Verdict& verdict);
  // A failure of ours rather than the target's (no descriptors left, pings forbidden) is said once.
  void dial_failed(const Error& error);

  void flow_ended(const FlowRecord& record) override;
  void warning(const std::string& what) override;

  RecentNames names;

 private:
  std::mutex lock_;  // of events_ and said_
  Events& events_;
  std::atomic<std::uint64_t> last_id_ = 0;
  std::set<std::string> said_;  // bounded: advice is fixed text
};

}  // namespace nsrun
