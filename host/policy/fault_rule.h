#pragma once

#include <string_view>

#include "host/faults/faults.h"
#include "host/policy/rule.h"

namespace nsrun {

// A fault as one text: FAULTS @ MATCH (host/faults/fault_spec.h, match.h), or packets: faults alone. Errors
// have ExitCode::usage and say what was expected.
Result<Rule> parse_fault_rule(std::string_view text);
// The same from its two parts; an empty `match`: none was given.
Result<Rule> parse_fault_rule(std::string_view faults, std::string_view match);

}  // namespace nsrun
