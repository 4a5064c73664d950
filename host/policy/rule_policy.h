#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "host/flow/policy.h"
#include "host/names/name_policy.h"
#include "host/names/synthetic_names.h"
#include "host/policy/approval_queue.h"
#include "host/policy/rule_set.h"
#include "runtime/network.h"
#include "runtime/replaceable.h"

namespace nsrun {

// Verdict::rule of what goes to the name server.
constexpr std::string_view name_service_rule = "name-service";

// A guest's policy: the rules, and around them what holds without any. By default the internet and the host's
// network are reached; protected addresses (reachability.h) are not. The gateway's addresses stand for the
// host's loopback, and the name server's for our name service.
class RulePolicy final : public Policy, public NamePolicy {
 public:
  struct Options {
    // The guest's network, of which the gateway's and the name server's addresses stand for something else.
    // Nothing: there is no guest, and every address is only itself.
    std::optional<NetworkOptions> network = NetworkOptions{};
    bool host_loopback = false;          // the gateway's addresses lead to the host's own loopback
    bool protects_own = false;           // this machine's own addresses are protected, too
    bool always_names = false;           // a dialer wants names: flows are known by theirs, rules or not
    ApprovalQueue* approvals = nullptr;  // decides what rules leave to it; null: that is denied
    // A hosts(5) file whose names, where a rule opens exactly that name, lead to protected addresses, too.
    // Empty: none do.
    std::string hosts_file = {};
  };
  // `names` tells what a synthetic address stands for; it outlives the policy.
  RulePolicy(Options options, SyntheticNames& names, std::shared_ptr<const RuleSet> rules);

  Verdict judge(const FlowKey& key) override;
  Verdict judge_again(const FlowKey& key, const SharedText& name) override;
  Task<Verdict> ask(const FlowKey& key, Verdict undecided) override;

  bool permits_name(std::string_view name) const override { return rules()->permits_name(name); }
  bool tells_outside(std::string_view name) const override { return rules()->tells_outside(name); }
  // Which rule has a name that may not be asked about be so, for the record.
  SharedText rule_about(std::string_view name) const;
  bool gives_synthetic() const override { return options_.always_names || rules()->needs_names(); }
  std::shared_ptr<Faults> faults_of(std::string_view name) const override {
    const auto rules = this->rules();
    const Rule* rule = rules->query_fault(name);
    return rule ? rule->faults : nullptr;
  }

  std::shared_ptr<const RuleSet> rules() const { return rules_.load(); }
  // From here on. Flows that live were judged by others: refused_now (host/carry/rejudge.h) says of each
  // whether these refuse it.
  void replace(std::shared_ptr<const RuleSet> rules) {
    rules_.store(std::move(rules));
    generation_ += 1;
  }
  std::uint64_t generation() const override { return generation_; }

 private:
  Verdict judge_gateway(const FlowKey& key, std::shared_ptr<const RuleSet> shared) const;
  Verdict judge_name(const FlowKey& key, std::shared_ptr<const RuleSet> rules, SharedText name) const;
  Verdict judge_address(const FlowKey& key, std::shared_ptr<const RuleSet> shared) const;

  const Options options_;
  SyntheticNames& names_;
  Replaceable<RuleSet> rules_;
  std::atomic<std::uint64_t> generation_ = 0;
};

}  // namespace nsrun
