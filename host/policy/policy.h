#pragma once

#include <string>

#include "runtime/flow.h"

namespace nsrun {

// What becomes of a request, and why.
struct Verdict {
  bool allowed = false;
  Refusal refusal = Refusal::drop;  // when not allowed
  Target target;                    // when allowed: what to dial
  std::string rule;                 // which rule decided, for the record
};

// Who may go where. Policies are asked once for each flow, before anything is dialled; from any thread.
class Policy {
 public:
  virtual ~Policy() = default;
  virtual Verdict judge(const FlowKey& key) = 0;
};

}  // namespace nsrun
