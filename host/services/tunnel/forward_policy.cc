#include "host/services/tunnel/forward_policy.h"

namespace nsrun {

Verdict ForwardPolicy::judge(const FlowKey& key) {
  Verdict chosen = chosen_.judge(key);
  if (!rules_) return chosen;
  const Target& to = chosen.target;
  FlowKey asked{to.protocol, key.source, to.endpoint};
  if (!to.name.empty()) asked.target.address = rules_->names.v4_for(to.name);
  Verdict judged = rules_->rules.judge(asked);
  if (judged.asks) {  // there is nobody to ask
    judged.allowed = false;
    judged.refusal = Refusal::prohibited;
  }
  if (!judged.allowed) return judged;
  const bool elsewhere = !judged.target.via.empty() || judged.target.name != to.name ||
                         judged.target.endpoint.port != to.endpoint.port ||
                         (to.name.empty() && judged.target.endpoint != to.endpoint);
  if (elsewhere) return judged;  // it is redirected
  chosen.rule = judged.rule;
  chosen.name = judged.name;
  chosen.logs = judged.logs;
  chosen.target.permits = std::move(judged.target.permits);
  chosen.target.faults = std::move(judged.target.faults);
  return chosen;
}

}  // namespace nsrun
