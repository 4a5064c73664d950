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
  // `far_asked`: requests come from outside the sandbox. All outlive the carrier and the tasks of carry().
  Carrier(Policy& policy, Dialer& dialer, Ledger& ledger, bool far_asked = false)
      : policy_(policy), dialer_(dialer), ledger_(ledger), far_asked_(far_asked) {}

  Task<> carry(std::unique_ptr<Request> request);

 private:
  Policy& policy_;
  Dialer& dialer_;
  Ledger& ledger_;
  const bool far_asked_;
};

}  // namespace nsrun
