// Faults as rules of a policy: which flow has which, from files too, and over reloads.

#include "tests/support/catch.h"

#include "host/policy/fault_rule.h"
#include "host/policy/policy_file.h"
#include "host/policy/policy_sources.h"

namespace nsrun {
namespace {

PolicySources sources_with(std::initializer_list<const char*> faults) {
  PolicySources sources;
  for (const char* text : faults) sources.parts.emplace_back(parse_fault_rule(text).value());
  return sources;
}

std::string text_of(const Rule* rule) { return rule ? rule->faults->spec()->text : ""; }

std::string refusal(std::string_view policy) {
  const auto parsed = parse_policy(policy, "p.yaml");
  return parsed ? "" : parsed.error().message();
}

TEST_CASE("the first fault that matches is a flow's, and queries and packets have their own") {
  const auto rules =
      sources_with({"packets:loss=1%", "nxdomain @ dns/*.example", "latency=1ms @ a.example:443",
                    "latency=2ms @ *.example", "latency=3ms @ udp/*"})
          .load()
          .value();
  CHECK(text_of(rules->fault({Protocol::tcp, "a.example", {}, 443})) == "latency=1ms");
  CHECK(text_of(rules->fault({Protocol::tcp, "a.example", {}, 80})) == "latency=2ms");
  CHECK(text_of(rules->fault({Protocol::udp, {}, IpAddress::v4(192, 0, 2, 1), 53})) == "latency=3ms");
  CHECK_FALSE(rules->fault({Protocol::tcp, {}, IpAddress::v4(192, 0, 2, 1), 53}));
  CHECK(text_of(rules->query_fault("a.example")) == "nxdomain");
  CHECK_FALSE(rules->query_fault("a.test"));
  REQUIRE(rules->packet_faults());
  CHECK(rules->packet_faults()->spec()->up.loss == Approx(0.01));
  CHECK(rules->default_action() == Action::allow);
}

TEST_CASE("faults of queries alone leave names as they are") {
  CHECK_FALSE(sources_with({"nxdomain @ dns/a.example"}).load().value()->needs_names());
  CHECK(sources_with({"latency=1ms @ a.example"}).load().value()->needs_names());
}

TEST_CASE("a policy file says faults as the option does") {
  const auto file = parse_policy(
      "default: allow\n"
      "rules:\n"
      "  - fault: latency=200ms,jitter=50ms\n"
      "    match: [a.example, \"*.b.example\"]\n"
      "  - {match: dns/a.example, fault: nxdomain}\n"
      "  - fault: packets:loss=1%\n",
      "p.yaml");
  REQUIRE(file.has_value());
  REQUIRE(file->rules.size() == 4);
  CHECK(file->rules[0].to_string() == "fault latency=200ms,jitter=50ms @ a.example");
  CHECK(file->rules[1].to_string() == "fault latency=200ms,jitter=50ms @ *.b.example");
  CHECK(file->rules[2].to_string() == "fault nxdomain @ dns/a.example");
  CHECK(file->rules[3].faults->packets());
  CHECK(file->rules[3].where == "p.yaml:6");
}

TEST_CASE("a wrong fault in a file is told with its place") {
  CHECK(refusal("rules: [{fault: latency=5, match: a.example}]").find("p.yaml:1:17") != std::string::npos);
  CHECK(refusal("rules:\n- fault: latency=5ms\n  match: a..b").find("p.yaml:3:10") != std::string::npos);
  CHECK(refusal("rules: [{fault: latency=5ms}]").find("match: HOST") != std::string::npos);
  CHECK(refusal("rules: [{fault: \"packets:loss=5%,reorder=1%\"}]").find("packets:reorder") !=
        std::string::npos);
  CHECK(refusal("rules: [{fault: [latency=5ms], match: a.example}]").find("is a list") != std::string::npos);
  CHECK(refusal("rules: [{fault: loss=5%, match: tcp/a.example}]").find("packets:loss") != std::string::npos);
  CHECK(refusal("rules: [{fault: latency=5ms, to: a.example}]").find("does not go with") !=
        std::string::npos);
}

TEST_CASE("when a policy is loaded again, live flows have the faults that it now says") {
  auto sources = sources_with({"latency=1ms @ a.example", "latency=1ms @ b.example"});
  const auto before = sources.load().value();
  const auto of = [](const RuleSet& rules, std::string_view name) {
    return rules.fault({Protocol::tcp, name, {}, 80});
  };
  const auto a = of(*before, "a.example")->faults, b = of(*before, "b.example")->faults;
  CHECK(a->next_flow() == 0);

  sources.parts.clear();
  sources.parts.emplace_back(parse_fault_rule("latency=7ms @ a.example").value());
  const auto after = sources.load().value();
  CHECK(of(*after, "a.example")->faults == a);
  CHECK(a->spec()->text == "latency=7ms");
  CHECK(a->next_flow() == 1);
  CHECK(b->spec()->up.latency == 0ms);

  sources.parts.emplace_back(parse_fault_rule("latency=9ms @ b.example").value());
  CHECK(of(*sources.load().value(), "b.example")->faults == b);
  CHECK(b->spec()->text == "latency=9ms");
}

TEST_CASE("the seed is for all faults of a policy") {
  const auto first_of = [](std::uint64_t seed) {
    auto sources = sources_with({"loss=50% @ udp/*"});
    sources.faults->seed = seed;
    const auto rules = sources.load().value();
    return rules->fault({Protocol::udp, {}, IpAddress::v4(192, 0, 2, 1), 53})
        ->faults->chance(0, SeededRandom::Part::up)
        .unit();
  };
  CHECK(first_of(1) == first_of(1));
  CHECK(first_of(1) != first_of(2));
}

}  // namespace
}  // namespace nsrun
