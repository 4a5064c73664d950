#include "host/carry/rejudge.h"

namespace nsrun {
std::optional<std::string> refused_now(Policy& policy, const FlowRecord& flow) {
  const Verdict verdict = policy.judge_again(flow.key, flow.name);
  if (!verdict.allowed) return "the policy changed: " + verdict.rule.str();
  // A name may have gone to a dialer that takes names.
  const Endpoint* dialled = flow.dialled_address();
  if (dialled && verdict.target.permits && !verdict.target.permits(dialled->address))
    return "the policy changed: " + dialled->address.to_string() + " is refused";
  return std::nullopt;
}

}  // namespace nsrun
