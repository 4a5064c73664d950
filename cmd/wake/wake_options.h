#pragma once

#include <CLI/App.hpp>
#include <array>
#include <string>
#include <vector>

#include "host/services/wake/wake_spec.h"

namespace nsrun {

// The words of `nsrun wake`, as they were written.
struct WakeOptions {
  std::vector<std::string> listen;
  std::vector<std::string> sandbox;  // what came after --sandbox
  std::vector<std::string> group;    // several are one, and wake together
  std::vector<std::string> labels;   // --from-labels: empty text for our own container
  std::string exec, systemd, config, docker;
  std::string port, host;  // as proxytainer has them
  std::string name, idle = "300", idle_by, threshold, wake_threshold, probe, start_timeout = "60",
                    stop_timeout = "10";
  std::string sleep = "stop";
  bool user = false, no_health = false;

  void declare(CLI::App& app);
  // The groups that are asked for. Errors have ExitCode::usage.
  Result<std::vector<WakeSpec>> groups() const;

 private:
  Result<void> check_alone(const std::string& source) const;
  Result<std::vector<WakeSpec>> groups_of_labels() const;
  Result<WakeSpec> group_of_words() const;
  Result<void> take_what_starts(WakeSpec& spec) const;
  Result<void> take_forwards(WakeSpec& spec) const;
  Result<void> take_times(WakeSpec& spec) const;
  Result<void> take_use(WakeSpec& spec) const;

  std::vector<const CLI::Option*> of_group_;           // all that a file says for each group
  std::array<const CLI::Option*, 2> of_containers_{};  // of these, those for containers alone
};

}  // namespace nsrun
