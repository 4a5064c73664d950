#include "host/ledger.h"

namespace nsrun {

std::unique_ptr<FlowRecord> Ledger::open(const FlowKey& key, Asker asker) {
  return std::make_unique<FlowRecord>(++last_id_, key, events_, totals_, asker);
}

// Errors that carry advice are about this machine: the advice is the same each time, and so told once.
void Ledger::dial_failed(const Error& error) {
  if (!error.advice.empty() && said_.insert(error.advice).second) events_.warning(error.message());
}

}  // namespace nsrun
