#pragma once

#include <functional>
#include <vector>

#include "host/control/control_commands.h"
#include "host/control/flow_commands.h"
#include "host/sandbox/fault_commands.h"
#include "host/sandbox/policy_reload.h"
#include "host/sandbox/publisher.h"
#include "host/sandbox/sandbox.h"

namespace nsrun {

// The requests that docs/control.md lists, and the parts of a sandbox that answer them. On the loop of the
// published ports; other loops are gone to.
class SandboxCommands {
 public:
  struct Parts {
    Sandbox& sandbox;
    Publisher& publisher;
    PolicyReload& reload;
    std::vector<FlowLoop> loops;
    std::function<Counters()> counters;  // of all flows
  };
  // The parts outlive this, and this the commands.
  explicit SandboxCommands(Parts parts);
  ControlCommands commands();

 private:
  using Answer = ControlCommands::Answer;
  using Request = boost::json::object;
  Task<Answer> publish_add(Request request);
  Task<Answer> publish_remove(Request request);
  Task<Answer> publish_list(Request request);
  boost::json::value publish_list_now() const;
  Task<Answer> policy_get(Request request);
  Task<Answer> policy_reload(Request request);
  Task<Answer> capture_start(Request request);
  Task<Answer> capture_stop(Request request);

  const Parts parts_;
  FlowCommands flows_;
  FaultCommands faults_;
};

}  // namespace nsrun
