#include "host/carry/ledger.h"

namespace nsrun {

std::unique_ptr<FlowRecord> Ledger::open(const FlowKey& key, Asker asker, LiveFlows& flows) {
  return std::make_unique<FlowRecord>(++last_id_, key, *this, flows, asker);
}

void Ledger::tell(const FlowRecord& record, const Verdict& verdict) {
  const auto& [protocol, endpoint] = std::tie(record.key.protocol, record.key.target);
  const Target asked{protocol, endpoint, record.name};
  const char* fate = verdict.allowed ? "allowed" : verdict.refusal == Refusal::drop ? "denied" : "rejected";
  warning("flow " + std::to_string(record.id) + ": " + asked.to_string() + " " + fate + " (" +
          verdict.rule.str() + ")");
}

// Errors that carry advice are about this machine: the advice is the same each time, and so told once.
void Ledger::dial_failed(const Error& error) {
  if (error.advice.empty()) return;
  const std::lock_guard hold(lock_);
  if (said_.insert(error.advice).second) events_.warning(error.message());
}

void Ledger::flow_ended(const FlowRecord& record) {
  const std::lock_guard hold(lock_);
  events_.flow_ended(record);
}

void Ledger::warning(const std::string& what) {
  const std::lock_guard hold(lock_);
  events_.warning(what);
}

}  // namespace nsrun
