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
  // `sandbox` outlives this, and this the tasks of run().
  explicit PolicyReload(Sandbox& sandbox) : sandbox_(sandbox) {}

  // How many flows the new rules cut; or why the old ones stay. `loops` have all flows.
  Task<Result<std::size_t>> run(std::vector<FlowLoop> loops);

 private:
  Task<Result<std::shared_ptr<const RuleSet>>> load();

  Sandbox& sandbox_;
  bool is_running_ = false;
  std::optional<asio::thread_pool> reader_;  // once it was needed
};

}  // namespace nsrun
