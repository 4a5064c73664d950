#pragma once

#include "host/control/control_commands.h"
#include "host/sandbox/policy_reload.h"

namespace nsrun {

// fault.add, fault.remove and fault.list (docs/control.md). A fault is known by what it matches: adding one
// with the match of another changes that one, for the flows that live too.
class FaultCommands {
 public:
  // Both outlive this, and this the commands.
  FaultCommands(Sandbox& sandbox, PolicyReload& reload) : sandbox_(sandbox), reload_(reload) {}
  void add_to(ControlCommands& commands);

 private:
  using Answer = ControlCommands::Answer;
  using Request = boost::json::object;
  Task<Answer> add(Request request);
  Task<Answer> remove(Request request);
  Task<Answer> list(Request request);
  boost::json::value list_now() const;

  Sandbox& sandbox_;
  PolicyReload& reload_;
};

}  // namespace nsrun
