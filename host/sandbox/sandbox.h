#pragma once

#include <memory>

#include "host/carry/ledger.h"
#include "host/names/synthetic_names.h"
#include "host/policy/asking_program.h"
#include "host/policy/learner.h"
#include "host/policy/rule_policy.h"
#include "host/sandbox/host.h"
#include "netstack/devices/capture.h"
#include "netstack/stack_group.h"

namespace nsrun {

// What a sandbox has once, however many workers carry its network: who may go where, the names, the record.
// For any thread.
struct Sandbox {
  // `home`: the first worker's loop. Throws ErrorException: the capture file cannot be written.
  Sandbox(HostOptions given, Executor home);

  Policy& judge() { return learning ? static_cast<Policy&>(*learning) : policy; }

  SharedText name_of(const IpAddress& address);  // that the guest means by it, as far as is known
  // A capture runs, or may be begun later.
  bool may_capture() const { return !options.capture.empty() || !options.control.empty(); }

  const HostOptions options;
  MemoryBudget memory;  // for all that the guest makes us hold
  Events no_events;
  Ledger ledger;
  std::unique_ptr<AskingProgram> asked;      // null: no program is asked
  std::unique_ptr<ApprovalQueue> approvals;  // null: nobody is
  SyntheticNames synthetic;
  RulePolicy policy;
  std::unique_ptr<LearningPolicy> learning;  // in front of `policy`; null: nobody learns
  Capture capture;
  StackGroup stacks;
};

}  // namespace nsrun
