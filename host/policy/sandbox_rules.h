#pragma once

#include "host/policy/policy_sources.h"

namespace nsrun {

// Loads the policy of a sandbox. In addition to what PolicySources::load() refuses, a rule that would let
// flows to localhost through is an error: inside, that is the sandbox itself, and such a flow never gets
// here.
Result<std::shared_ptr<const RuleSet>> load_for_sandbox(const PolicySources& sources);

}  // namespace nsrun
