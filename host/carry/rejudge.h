#pragma once

#include <optional>
#include <string>

#include "host/flow/policy.h"
#include "runtime/flow_record.h"

namespace nsrun {

// What the policy, as it is now, has against a flow that it has let pass: "the policy changed: deny
// *.example", or nothing. How it would go (redirected, by way of another dialer) does not count: it went
// already.
std::optional<std::string> refused_now(Policy& policy, const FlowRecord& flow);

}  // namespace nsrun
