#include "tests/support/catch.h"

#include "host/policy/rule_policy.h"

using namespace nsrun;

namespace {

const IpAddress inspected_server = IpAddress::v4(192, 0, 2, 10);

// A policy of rules as a command line has them: "allow good.example", "default reject".
struct Rules {
  explicit Rules(std::initializer_list<std::pair<Action, const char*>> list,
                 Action otherwise = Action::allow) {
    std::vector<Rule> rules;
    for (const auto& [action, match] : list)
      rules.push_back({.action = action, .match = Match::parse(match).value()});
    policy.emplace(RulePolicy::Options{}, names,
                   std::make_shared<const RuleSet>(std::move(rules), otherwise));
  }
  Verdict to(const IpAddress& address, std::uint16_t port = 443, Protocol protocol = Protocol::tcp) {
    return policy->judge({protocol, {IpAddress::v4(10, 0, 2, 100), 40'000}, {address, port}});
  }
  Verdict to_name(const std::string& name) { return to(names.v4_for(name)); }

  SyntheticNames names;
  std::optional<RulePolicy> policy;
};

}  // namespace

TEST_CASE("flows that are allowed by name have to say that name, others nothing") {
  Rules rules({{Action::allow, "good.example"}, {Action::allow, "192.0.2.0/24"}}, Action::reject);
  CHECK(rules.to_name("good.example").inspection == Inspection::name);
  CHECK(rules.to(inspected_server).inspection == Inspection::none);
  CHECK(rules.to(rules.names.v4_for("good.example"), 80, Protocol::udp).inspection == Inspection::none);
  CHECK_FALSE(rules.to_name("evil.example").allowed);
}

TEST_CASE("a rule says what a flow has to carry, whether it is about names or addresses") {
  Rules rules({{Action::allow, "tls/good.example"}, {Action::allow, "http/192.0.2.0/24"}}, Action::reject);
  CHECK(rules.to_name("good.example").inspection == Inspection::tls);
  CHECK(rules.to(inspected_server).inspection == Inspection::http);
}

TEST_CASE("what a rule demands holds for the host's loopback and for redirected flows too") {
  const auto gateway = NetworkOptions{}.gateway4;
  Rules by_name({{Action::allow, "tls/host.nsrun.internal"}}, Action::reject);
  CHECK(by_name.to(gateway).inspection == Inspection::tls);
  CHECK(by_name.to(gateway).name == "host.nsrun.internal");
  Rules by_address({{Action::allow, "http/127.0.0.1:80"}}, Action::reject);
  CHECK(by_address.to(gateway, 80).inspection == Inspection::http);
  CHECK(by_address.to(gateway, 80).name.empty());  // its Host is the address that the guest calls
  // It is one place, whatever it is called.
  Rules any({{Action::allow, "host.nsrun.internal"}}, Action::reject);
  CHECK(any.to(gateway).inspection == Inspection::none);
  Rules denied({{Action::deny, "evil.example"}, {Action::allow, "host.nsrun.internal"}});
  CHECK_FALSE(denied.to(gateway).permits_server("evil.example"));

  Rules redirected({{Action::redirect, "tls/a.example"}, {Action::redirect, "b.example"}});
  CHECK(redirected.to_name("a.example").inspection == Inspection::tls);
  CHECK(redirected.to_name("b.example").inspection == Inspection::none);
}

TEST_CASE("where names are refused, what a flow says is asked about, unless a rule before has allowed it") {
  Rules rules(
      {{Action::allow, "192.0.2.0/28"}, {Action::deny, "*.evil.example"}, {Action::allow, "192.0.2.0/24"}});
  for (const auto& verdict : {rules.to_name("good.example"), rules.to(IpAddress::v4(192, 0, 2, 99))}) {
    CHECK(verdict.inspection == Inspection::refused);
    CHECK(verdict.permits_server("good.example"));
    CHECK_FALSE(verdict.permits_server("www.evil.example"));
  }
  const auto before = rules.to(inspected_server);
  CHECK((before.inspection == Inspection::none || before.permits_server("www.evil.example")));
}

TEST_CASE("a name that somebody is asked about has to be said") {
  Rules rules({{Action::ask, "*"}, {Action::deny, "evil.example"}});
  CHECK(rules.to_name("good.example").inspection == Inspection::name);
  CHECK(rules.to(inspected_server).inspection == Inspection::refused);
}

TEST_CASE("the record of a refused name has the rule that refuses it") {
  CHECK(Rules({{Action::deny, "*.evil.example"}}).policy->rule_about("www.evil.example") ==
        "deny *.evil.example");
  CHECK(Rules({{Action::allow, "good.example"}}, Action::reject).policy->rule_about("evil.example") ==
        "default");
}
