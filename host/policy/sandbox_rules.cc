#include "host/policy/sandbox_rules.h"

#include "host/text/canonical_name.h"

#include <algorithm>

namespace nsrun {
namespace {

bool opens_localhost(const Rule& rule) {
  const std::string& name = rule.match.name;
  const bool opens = rule.action != Action::deny && rule.action != Action::reject;
  return opens && rule.match.is_by_name() && is_localhost(name);
}

}  // namespace

Result<std::shared_ptr<const RuleSet>> load_for_sandbox(const PolicySources& sources) {
  auto rules = sources.load();
  if (!rules) return rules;
  const auto& all = (*rules)->rules();
  const auto found = std::find_if(all.begin(), all.end(), opens_localhost);
  if (found == all.end()) return rules;
  const std::string where = found->where.empty() ? "" : found->where + ": ";
  return Error{
      where + "the rule '" + found->to_string() + "' has no effect: inside, localhost is the sandbox itself",
      {},
      "for this machine's loopback write host.nsrun.internal, and use that name inside",
      ExitCode::usage};
}

}  // namespace nsrun
