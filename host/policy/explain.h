#pragma once

#include <string>
#include <vector>

#include "host/policy/rule_set.h"

namespace nsrun {

// What would become of a flow, or a question about a name, and why.
struct Explanation {
  std::string subject;  // "tcp/api.stripe.com:443"
  std::string verdict;  // allow, deny, reject, ask
  std::string rule;     // what decides: a rule's text, "default", or one of the built-in protections
  std::string where;    // who said that rule: "policy.yaml:7"; empty: nobody
  std::string because;  // in words
  std::string target;   // what is dialled; empty: nothing
  std::vector<std::string> conditions;   // what else holds for it, in words
  std::vector<std::string> passed_over;  // rules about the same host that do not decide, and why
};

// `subject`: [tcp/|udp/|icmp/|tls/|http/]HOST:PORT, icmp/HOST, or dns/NAME; tcp where no protocol is given.
// HOST is a name or an address. Errors have ExitCode::usage.
Result<Explanation> explain(const std::shared_ptr<const RuleSet>& rules, std::string_view subject);

}  // namespace nsrun
