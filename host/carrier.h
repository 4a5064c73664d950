#pragma once

#include "host/dialer.h"
#include "host/ledger.h"
#include "host/policy/policy.h"
#include "runtime/connection.h"

namespace nsrun {

// Decides every flow's fate, whatever its protocol and wherever it started: asked, judged, dialled, accepted,
// relayed. Sources of requests stand in front of it, dialers behind.
class Carrier {
 public:
  // `asker`: who the requests come from. All outlive the carrier and the tasks of carry(). Policy and ledger
  // are for any thread; the rest belongs to the one that carries.
  Carrier(Policy& policy, Dialer& dialer, Ledger& ledger, Counters& totals, Asker asker)
      : policy_(policy), dialer_(dialer), ledger_(ledger), totals_(totals), asker_(asker) {}

  Task<> carry(std::unique_ptr<Request> request);

 private:
  Policy& policy_;
  Dialer& dialer_;
  Ledger& ledger_;
  Counters& totals_;
  const Asker asker_;
};

}  // namespace nsrun
