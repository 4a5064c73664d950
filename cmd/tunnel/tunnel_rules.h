#pragma once

#include <CLI/App.hpp>
#include <memory>

#include "cmd/policy_options.h"
#include "host/policy/rule_set.h"

namespace nsrun {

// The rules of either end of a tunnel, once its command line was parsed; null: there are none.
Result<std::shared_ptr<const RuleSet>> load_rules(const PolicyOptions& options, const CLI::App& app);

}  // namespace nsrun
