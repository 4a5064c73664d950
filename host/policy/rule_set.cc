#include "host/policy/rule_set.h"

#include <algorithm>

#include "host/faults/faults.h"
#include "host/policy/reachability.h"

// Theory of operation
//
// "First match wins" is about all that is known of a flow. A flow to a name is decided before the name is
// resolved, since one that is refused must not be asked about outside; its address is not known then. Once it
// is, a rule about addresses that stands before the deciding one would have been the first match, and so
// decides (decide_address):
//
//   deny 10.0.0.0/8     db.corp.example, at 10.1.2.3: decided by the second rule as long as the address is
//   allow *.corp.example  not known, and by the first from then on
//
// A flow to an address is decided by address alone: a rule about names never matches it.

namespace nsrun {
RuleSet::RuleSet(std::vector<Rule> rules, Action otherwise)
    : rules_(std::move(rules)),
      otherwise_(otherwise),
      needs_names_(otherwise != Action::allow),
      asks_(otherwise == Action::ask) {
  for (RuleIndex::Position i = 0; i < rules_.size(); ++i) {
    const auto& [action, match] = std::tie(rules_[i].action, rules_[i].match);
    if (rules_[i].faults && rules_[i].faults->packets()) continue;  // of no flow
    needs_names_ |= match.is_by_name() && !(action == Action::fault && match.is_of_queries());
    asks_ |= action == Action::ask;
    const bool refuses = !match.is_of_queries() && (action == Action::deny || action == Action::reject);
    refuses_by_name_ |= refuses && match.is_by_name();
    refuses_all_ |= refuses && match == Match{};
    auto& index = decides(action)           ? decisions_
                  : action == Action::via   ? via_
                  : action == Action::fault ? fault_
                                            : log_;
    index.add(i, match);
  }
  for (const Rule& rule : rules_) texts_.emplace_back(rule.to_string());
  texts_.emplace_back("default");
}

RuleSet::Decision RuleSet::at(std::optional<RuleIndex::Position> position) const {
  if (!position) return {last, otherwise_, nullptr};
  return {*position, rules_[*position].action, &rules_[*position]};
}

RuleSet::Decision RuleSet::decide(const Subject& subject) const { return at(decisions_.first(subject)); }

RuleSet::Decision RuleSet::decide_address(const Subject& resolved, const Decision& decision) const {
  const auto by_address = decisions_.first_network(resolved);
  return by_address && *by_address < decision.position ? at(by_address) : decision;
}

bool RuleSet::names_protected(const Subject& resolved, const Decision& decision) const {
  const auto first = decisions_.first_network(resolved);
  if (!first || !opens(rules_[*first].action) || !demands_no_more(at(first), decision)) return false;
  return is_protected(rules_[*first].match.network);
}

bool RuleSet::demands_no_more(const Decision& other, const Decision& decision) {
  const auto demand = [](const Rule* rule) { return rule ? rule->match.content : Match::Content::any; };
  return demand(other.rule) == Match::Content::any || demand(other.rule) == demand(decision.rule);
}

const Rule* RuleSet::find(const RuleIndex& index, const Subject& subject) const {
  const auto position = index.first(subject);
  return position ? &rules_[*position] : nullptr;
}

std::shared_ptr<PacketFaults> RuleSet::packet_faults() const {
  for (const Rule& rule : rules_)
    if (rule.faults && rule.faults->packets()) return rule.faults->packets();
  return nullptr;
}

std::optional<Action> RuleSet::opening(std::string_view name) const {
  std::optional<Action> found;
  for (const auto position : decisions_.about(name)) {
    const Rule& rule = rules_[position];
    const bool is_whole = !rule.match.protocol && rule.match.ports.is_all();
    if (rule.action == Action::ask) found = Action::ask;
    if (rule.action == Action::allow || rule.action == Action::redirect) return Action::allow;
    if (is_whole) return found;
  }
  return opens(otherwise_) ? otherwise_ : found;
}

}  // namespace nsrun
