#pragma once

#include <boost/asio/thread_pool.hpp>
#include <optional>
#include <vector>

#include "host/flow_loop.h"
#include "host/sandbox.h"

namespace nsrun {

// Replaces a sandbox's rules while it runs: all of them or none, and for the flows that live as for those to
// come. On one loop.
class PolicyReload {
 public:
  // `sandbox` outlives this, and this the tasks of its functions.
  explicit PolicyReload(Sandbox& sandbox) : sandbox_(sandbox), base_(sandbox.policy.rules()) {}

  // How many flows the new rules cut; or why the old ones stay. `loops` have all flows.
  Task<Result<std::size_t>> run(std::vector<FlowLoop> loops);

  // Rules that decide nothing (faults), in front of all others; they stay when those are replaced.
  const std::vector<Rule>& added() const { return added_; }
  Task<Result<void>> set_added(std::vector<Rule> rules);

 private:
  using Rules = std::shared_ptr<const RuleSet>;
  Task<Result<Rules>> on_reader(RuleLoader load);
  Task<Result<void>> put_in_force(Rules base, std::vector<Rule> added);

  Sandbox& sandbox_;
  Rules base_;  // as they were read last
  std::vector<Rule> added_;
  bool is_running_ = false;
  std::optional<asio::thread_pool> reader_;  // once it was needed
};

}  // namespace nsrun
