#pragma once

#include "host/carry/ledger.h"
#include "host/flow/dialer.h"
#include "host/flow/policy.h"
#include "runtime/connection.h"
#include "runtime/memory_budget.h"

namespace nsrun {

// Decides every flow's fate, whatever its protocol and wherever it started: asked, judged, dialled, accepted,
// relayed. Sources of requests stand in front of it, dialers behind.
class Carrier {
 public:
  // `asker`: who the requests come from. All outlive the carrier and the tasks of carry(). Policy and ledger
  // are for any thread; the rest belongs to the one that carries.
  // `memory`: charged for what a flow holds here; null: nothing is.
  Carrier(Policy& policy, Dialer& dialer, Ledger& ledger, LiveFlows& flows, Asker asker,
          MemoryShare* memory = nullptr)
      : policy_(policy), dialer_(dialer), ledger_(ledger), flows_(flows), asker_(asker), memory_(memory) {}

  // In a task of its own.
  void begin(std::unique_ptr<Request> request, Scope& tasks) {
    tasks.spawn_cancellable([&](auto& cancel) { return carry(std::move(request), cancel); });
  }
  // `cancel` ends the task that this is.
  Task<> carry(std::unique_ptr<Request> request, asio::cancellation_signal& cancel);

 private:
  Policy& policy_;
  Dialer& dialer_;
  Ledger& ledger_;
  LiveFlows& flows_;
  const Asker asker_;
  MemoryShare* const memory_;
};

}  // namespace nsrun
