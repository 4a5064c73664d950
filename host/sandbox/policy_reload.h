#pragma once

#include <boost/asio/thread_pool.hpp>
#include <mutex>
#include <optional>
#include <vector>

#include "host/flow/flow_loop.h"
#include "host/sandbox/sandbox.h"

namespace nsrun {

// Replaces a sandbox's rules while it runs: all of them or none, and for the flows that live as for those to
// come. On one loop.
class PolicyReload {
 public:
  // `sandbox` outlives this, and this the tasks of its functions.
  explicit PolicyReload(Sandbox& sandbox) : sandbox_(sandbox), base_(sandbox.policy.rules()) {}

  // How many flows the new rules cut; or why the old ones stay. `loops` have all flows.
  Task<Result<std::size_t>> run(std::vector<FlowLoop> loops);

  using Rules = std::shared_ptr<const RuleSet>;
  // These rules in place of those that were read last, at once and for flows to come. From any thread.
  void replace(Rules base);

  // Rules that decide nothing (faults), in front of all others; they stay when those are replaced. `change`
  // is called on the reader's thread; false: it changed nothing.
  Task<Result<void>> change_added(std::function<bool(std::vector<Rule>&)> change);

 private:
  Task<Result<Rules>> on_reader(RuleLoader load);
  void put_in_force(Rules base, std::vector<Rule> added);  // with the mutex

  Sandbox& sandbox_;
  std::mutex mutex_;  // of both parts of what is in force
  Rules base_;        // as they were read or replaced last
  std::vector<Rule> added_;
  bool is_running_ = false;
  std::optional<asio::thread_pool> reader_;  // once it was needed
};

}  // namespace nsrun
