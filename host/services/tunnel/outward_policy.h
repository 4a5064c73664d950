#pragma once

#include <memory>

#include "host/names/synthetic_names.h"
#include "host/policy/rule_policy.h"

namespace nsrun {

// A sandbox's policy without a sandbox: whoever asks by name gets a synthetic address for it, by which it is
// judged. No address stands for another here, and nobody is asked.
struct OutwardPolicy {
  // `protects_own`: this machine's own addresses are reached only where a rule names them.
  explicit OutwardPolicy(std::shared_ptr<const RuleSet> set, bool protects_own = false)
      : rules({.network = std::nullopt, .protects_own = protects_own, .always_names = true}, names,
              std::move(set)) {}

  SyntheticNames names;
  RulePolicy rules;
};

}  // namespace nsrun
