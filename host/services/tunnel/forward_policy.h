#pragma once

#include "host/forward/forward.h"
#include "host/services/tunnel/outward_policy.h"

namespace nsrun {

// Whoever asks goes to one endpoint, which the user chose, where the user's rules permit that; of endpoints
// without a host they say nothing.
class ForwardPolicy final : public Policy {
 public:
  // `rules` null: to have chosen it is enough. They outlive the policy.
  ForwardPolicy(const EndpointUrl& where, SharedText rule, OutwardPolicy* rules)
      : chosen_(where, std::move(rule)), rules_(where.is_ip() ? rules : nullptr) {}
  Verdict judge(const FlowKey& key) override;

 private:
  AllowTo chosen_;
  OutwardPolicy* const rules_;
};

}  // namespace nsrun
