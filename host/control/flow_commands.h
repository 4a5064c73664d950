#pragma once

#include <functional>
#include <vector>

#include "host/control/control_commands.h"
#include "host/flow/flow_loop.h"

namespace nsrun {

// What can be asked about flows, whoever carries them: flows, flows.cut, stats (docs/control.md). On the loop
// of the control socket; other loops are gone to.
class FlowCommands {
 public:
  // `counters`: of all flows that ever were. `more` adds to what stats says.
  FlowCommands(std::vector<FlowLoop> loops, std::function<Counters()> counters,
               std::function<void(boost::json::object&)> more = {})
      : loops_(std::move(loops)), counters_(std::move(counters)), more_(std::move(more)) {}
  // This outlives the commands.
  void add_to(ControlCommands& commands);

 private:
  using Answer = ControlCommands::Answer;
  using Request = boost::json::object;
  Task<Answer> flows(Request request);
  Task<Answer> cut(Request request);
  Task<Answer> stats(Request request);

  const std::vector<FlowLoop> loops_;
  const std::function<Counters()> counters_;
  const std::function<void(boost::json::object&)> more_;
  const Clock::time_point began_ = Clock::now();
};

}  // namespace nsrun
