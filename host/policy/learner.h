#pragma once

#include <atomic>
#include <mutex>
#include <set>
#include <string>

#include "host/flow/policy.h"
#include "host/policy/rule.h"

namespace nsrun {

// What a run needed: remembers what was allowed, and writes the smallest policy that allows it. For any
// thread.
class Learner {
 public:
  // What a guest can make us remember; what comes beyond is not learnt, which the policy then says.
  static constexpr std::size_t most = 100'000;

  // By name, where the flow has one.
  void saw_flow(Protocol protocol, const std::string& name, const Endpoint& target);
  void saw_question(const std::string& name);

  // As a policy file: the same for the same flows, in whatever order they came. `title`: its first line.
  std::string policy(const std::string& title) const;
  // Replaces the file, whole or not at all.
  Result<void> write(const std::string& path, const std::string& title) const;
  // Whether write() can be expected to work.
  static Result<void> check(const std::string& path);

 private:
  struct Seen {
    std::string name;  // empty: the address
    IpAddress address;
    Protocol protocol;
    std::uint16_t port;
    auto operator<=>(const Seen&) const = default;
  };
  static Match match_of(const Seen& seen);
  std::vector<Match> matches() const;

  mutable std::mutex lock_;  // of all below
  std::set<Seen> flows_;
  std::set<std::string> questions_;
  bool is_full_ = false;
};

// A policy whose decisions are learnt from.
class LearningPolicy final : public Policy {
 public:
  // Both outlive this.
  LearningPolicy(Policy& policy, Learner& learner) : policy_(policy), learner_(learner) {}

  Verdict judge(const FlowKey& key) override;
  Verdict judge_again(const FlowKey& key, const SharedText& name) override {
    return policy_.judge_again(key, name);
  }
  Task<Verdict> ask(const FlowKey& key, Verdict undecided) override;
  std::uint64_t generation() const override { return policy_.generation(); }

 private:
  void learn(const FlowKey& key, const Verdict& verdict);

  Policy& policy_;
  Learner& learner_;
};

}  // namespace nsrun
