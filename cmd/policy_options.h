#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <string>
#include <vector>

#include "host/policy/policy_sources.h"
#include "runtime/task.h"

namespace nsrun {

// Who may go where, as the command line has it.
struct PolicyChoice {
  PolicySources sources;
  std::string ask;  // the program that decides; empty: none
  Clock::duration ask_limit = 30s;
  std::string learn;  // the file for what was needed; empty: none
};

// The options that say it. Rules stand in the order in which they were given, whatever the option.
class PolicyOptions {
 public:
  void declare(CLI::App& app);
  // Once the command line was parsed. An error has ExitCode::usage.
  Result<PolicyChoice> finish(const CLI::App& app) const;

 private:
  std::string default_, ask_, ask_timeout_, learn_, fault_seed_;
};

}  // namespace nsrun
