#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <string>
#include <vector>

#include "host/policy/rule_set.h"

namespace nsrun {

// The options that say who may go where. Rules stand in the order in which they were given, whatever the
// option.
class PolicyOptions {
 public:
  void declare(CLI::App& app);
  // Once the command line was parsed. Null: no rule was given. An error has ExitCode::usage.
  Result<std::shared_ptr<const RuleSet>> finish(const CLI::App& app) const;

 private:
  Result<void> take(const std::string& option, const std::string& value, std::vector<Rule>& rules) const;
  Result<void> take_fault(const std::string& value, std::vector<Rule>& rules) const;

  std::string default_, fault_seed_;
};

}  // namespace nsrun
