#include "host/policy/fault_registry.h"

namespace nsrun {

void FaultRegistry::adopt(std::vector<Rule>& rules) {
  auto before = std::exchange(by_match_, {});
  for (Rule& rule : rules) {
    if (rule.action != Action::fault || !rule.faults) continue;
    const auto match = (rule.faults->packets() ? "packets:" : "") + rule.match.to_string();
    auto known = before.extract(match);
    const auto spec = rule.faults->spec();
    if (known) {
      rule.faults = known.mapped();
      rule.faults->replace(*spec);
    } else {
      rule.faults = std::make_shared<Faults>(*spec, match, seed);
    }
    by_match_.emplace(match, rule.faults);  // of two with one match the first counts
  }
  for (const auto& [match, gone] : before) gone->replace({});
  by_match_.merge(before);  // flows that live with them would have them again
}

}  // namespace nsrun
