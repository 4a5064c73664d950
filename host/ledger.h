#pragma once

#include <memory>
#include <set>

#include "host/names/recent_names.h"
#include "runtime/flow.h"
#include "runtime/result.h"

namespace nsrun {

// Where flows are written down: their numbers, their records, the totals, and the names they go by.
class Ledger {
 public:
  // `events` outlives the ledger and every record.
  explicit Ledger(Events& events) : events_(events) {}

  std::unique_ptr<FlowRecord> open(const FlowKey& key, Asker asker);
  // The name lately resolved to this address, for the record: a hint.
  std::string name_of(const IpAddress& address) { return names.name_of(address); }
  // A failure of ours rather than the target's (no descriptors left, pings forbidden) is said once.
  void dial_failed(const Error& error);

  const Counters& totals() const { return totals_; }
  RecentNames names;

 private:
  Events& events_;
  Counters totals_;
  std::uint64_t last_id_ = 0;
  std::set<std::string> said_;  // bounded: advice is fixed text
};

}  // namespace nsrun
