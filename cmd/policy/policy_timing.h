#pragma once

#include <chrono>
#include <memory>

#include "host/policy/rule_set.h"

namespace nsrun {

// How long a sandbox's policy takes for a flow, on average: flows to hosts that its rules are about, and as
// many to hosts that none is about, in an order that no cache foresees.
std::chrono::nanoseconds time_to_judge(const std::shared_ptr<const RuleSet>& rules);

}  // namespace nsrun
