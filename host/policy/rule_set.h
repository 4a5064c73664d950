#pragma once

#include <string>
#include <vector>

#include "host/policy/rule.h"
#include "host/policy/rule_index.h"
#include "netstack/devices/packet_faults.h"
#include "runtime/shared_text.h"

namespace nsrun {

// A list of rules, made ready to be asked. Never changes: a new policy is a new set.
class RuleSet {
 public:
  static constexpr auto last = ~RuleIndex::Position{0};  // the position of the default

  // `otherwise`: allow, deny, reject or ask, for flows that no rule decides.
  explicit RuleSet(std::vector<Rule> rules = {}, Action otherwise = Action::allow);

  struct Decision {
    RuleIndex::Position position = last;  // of the rule that decides
    Action action = Action::allow;
    const Rule* rule = nullptr;  // null: the default
  };
  Decision decide(const Subject& subject) const;
  // What the record says of it: the rule, or "default".
  const SharedText& text(const Decision& decision) const {
    return texts_[decision.rule ? decision.position : rules_.size()];
  }
  // Once the name that `decision` was made for is resolved: whether a rule before the deciding one, or for a
  // decision by default any rule, is about the address. It then decides in its place.
  Decision decide_address(const Subject& resolved, const Decision& decision) const;
  // Whether a rule that allows names this very address, or a network within the range that is protected; and
  // flows that `decision` lets through are all that it demands.
  bool names_protected(const Subject& resolved, const Decision& decision) const;

  // Whether what `decision` lets through is all that `other` demands: TLS, HTTP, or nothing.
  static bool demands_no_more(const Decision& other, const Decision& decision);

  // The first of these kinds that matches, or null.
  const Rule* via(const Subject& subject) const { return find(via_, subject); }
  const Rule* fault(const Subject& subject) const { return find(fault_, subject); }
  const Rule* log(const Subject& subject) const { return find(log_, subject); }
  // Of queries for a name (canonical).
  const Rule* query_fault(std::string_view name) const {
    return find(fault_, {.name = name, .is_query = true});
  }
  // Of all the guest's packets: the first rule's that has some, or null.
  std::shared_ptr<PacketFaults> packet_faults() const;

  // Whether any flow to this name could be allowed: then the guest may ask for it.
  bool permits_name(std::string_view name) const { return opening(name).has_value(); }
  // Whether one could be without anybody being asked: then others may hear of it.
  bool tells_outside(std::string_view name) const { return opening(name) == Action::allow; }
  // Whether flows must be known by their names: some rule is about names, or not everything is allowed.
  bool needs_names() const { return needs_names_; }
  // Whether somebody has to be asked about some flow.
  bool asks() const { return asks_; }
  // Whether what no rule is about is not let through: by the default, or by a rule for all that is left.
  bool denies_by_default() const { return otherwise_ != Action::allow || refuses_all_; }
  // Whether a rule refuses something by name, so that a flow to an unnamed address may be in its reach.
  bool refuses_by_name() const { return refuses_by_name_; }

  const std::vector<Rule>& rules() const { return rules_; }
  Action default_action() const { return otherwise_; }

 private:
  // How flows to this name could be allowed: allow, only ask, or nothing.
  std::optional<Action> opening(std::string_view name) const;
  const Rule* find(const RuleIndex& index, const Subject& subject) const;
  Decision at(std::optional<RuleIndex::Position> position) const;

  const std::vector<Rule> rules_;
  std::vector<SharedText> texts_;  // of each, and of the default
  const Action otherwise_;
  RuleIndex decisions_, via_, fault_, log_;
  bool needs_names_ = false, refuses_by_name_ = false, refuses_all_ = false, asks_ = false;
};

}  // namespace nsrun
