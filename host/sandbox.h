#pragma once

#include <memory>

#include "host/host.h"
#include "host/ledger.h"
#include "host/names/synthetic_names.h"
#include "host/policy/rule_policy.h"
#include "netstack/devices/capture.h"
#include "netstack/stack_group.h"

namespace nsrun {

// What a sandbox has once, however many workers carry its network: who may go where, the names, the record.
// For any thread.
struct Sandbox {
  // Throws ErrorException: the capture file cannot be written.
  explicit Sandbox(HostOptions given);

  std::string name_of(const IpAddress& address);  // that the guest means by it, as far as is known
  // A capture runs, or may be begun later.
  bool may_capture() const { return !options.capture.empty() || !options.control.empty(); }

  const HostOptions options;
  Events no_events;
  Ledger ledger;
  SyntheticNames synthetic;
  RulePolicy policy;
  Capture capture;
  StackGroup stacks;
};

}  // namespace nsrun
