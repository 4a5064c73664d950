#include "cmd/policy/policy_timing.h"

#include <time.h>

#include <algorithm>
#include <random>

#include "host/policy/rule_policy.h"

namespace nsrun {
namespace {

constexpr std::size_t max_hosts = SyntheticNames::max_names / 2;  // of each kind
constexpr std::size_t rounds = 4;

// By this thread: others at work on the machine do not count.
std::chrono::nanoseconds time_used() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

}  // namespace

std::chrono::nanoseconds time_to_judge(const std::shared_ptr<const RuleSet>& rules) {
  SyntheticNames names;
  RulePolicy policy({}, names, rules);
  std::vector<FlowKey> flows;
  const auto add = [&](const Match& match) {
    const std::uint16_t port = match.ports.is_all() ? std::uint16_t{443} : match.ports.first;
    const std::string below = match.host == Match::Host::below ? "host." : "";
    const bool is_network = match.host == Match::Host::network;
    const auto address = is_network ? match.network.address : names.v4_for(below + match.name);
    flows.push_back({match.protocol.value_or(Protocol::tcp), {}, {address, port}});
  };
  std::mt19937 random;  // of a fixed seed: each run judges the same
  std::vector<const Rule*> chosen;
  for (const Rule& rule : rules->rules())
    if (rule.match.host != Match::Host::any) chosen.push_back(&rule);
  std::shuffle(chosen.begin(), chosen.end(), random);
  chosen.resize(std::min(chosen.size(), max_hosts));
  for (const Rule* rule : chosen) add(rule->match);
  for (std::size_t i = 0; i < std::max<std::size_t>(chosen.size(), 1); ++i) {
    Match other;
    other.name = "www.host" + std::to_string(random()) + ".nowhere.example";
    add(other);
  }
  std::shuffle(flows.begin(), flows.end(), random);

  std::size_t allowed = 0;
  const auto began = time_used();
  for (std::size_t round = 0; round < rounds; ++round)
    for (const FlowKey& key : flows) allowed += policy.judge(key).allowed;
  const auto took = time_used() - began;
  // What is counted must be used, or need not be done.
  return allowed > flows.size() * rounds ? std::chrono::nanoseconds::max()
                                         : took / static_cast<long>(flows.size() * rounds);
}

}  // namespace nsrun
