#include <unistd.h>

#include <cstdlib>
#include <sstream>
#include "tests/support/catch.h"

#include "host/policy/make_rule.h"
#include "host/policy/rule_policy.h"
#include "host/policy/sandbox_rules.h"
#include "host/services/tunnel/outward_policy.h"

using namespace nsrun;

namespace {

// "allow github.com; reject *; redirect a=b; via URL@MATCH; default deny"
std::shared_ptr<const RuleSet> rules_of(const std::string& text) {
  std::vector<Rule> rules;
  Action otherwise = Action::reject;
  std::istringstream words(text);
  for (std::string word, value; words >> word && std::getline(words >> std::ws, value, ';');) {
    const auto split = [&](char c) {
      return std::pair(value.substr(0, value.rfind(c)), value.substr(value.rfind(c) + 1));
    };
    if (word == "default")
      otherwise = parse_default(value).value();
    else if (word == "redirect")
      rules.push_back(make_redirect(split('=').first, split('=').second).value());
    else if (word == "via")
      rules.push_back(make_via(split('@').first, split('@').second).value());
    else
      for (const Action action : {Action::allow, Action::deny, Action::reject, Action::ask, Action::log})
        if (word == to_string(action)) rules.push_back(make_rule(action, value).value());
  }
  return std::make_shared<const RuleSet>(std::move(rules), otherwise);
}

struct RulesWorld {
  explicit RulesWorld(const std::string& text, bool host_loopback = false)
      : policy({NetworkOptions{}, host_loopback, false}, names, rules_of(text)) {}

  // The flow to a host, by its name as a guest has it: at a synthetic address.
  Verdict to(Protocol protocol, const std::string& host, std::uint16_t port) {
    const auto address = IpAddress::parse(host);
    return policy.judge(
        {protocol, *Endpoint::parse("10.0.2.100:40000"), {address ? *address : names.v4_for(host), port}});
  }
  bool allows(const std::string& host, std::uint16_t port = 443) {
    return to(Protocol::tcp, host, port).allowed;
  }
  Refusal refusal(const std::string& host, std::uint16_t port = 443, Protocol protocol = Protocol::tcp) {
    const auto verdict = to(protocol, host, port);
    REQUIRE_FALSE(verdict.allowed);
    return verdict.refusal;
  }

  SyntheticNames names;
  RulePolicy policy;
};

}  // namespace

TEST_CASE("the first rule that matches decides") {
  RulesWorld world("deny evil.example.org; allow *.example.org; reject *");
  CHECK(world.allows("good.example.org"));
  CHECK(world.refusal("evil.example.org") == Refusal::drop);
  CHECK(world.refusal("example.org") == Refusal::reset);  // *.NAME is not NAME
  CHECK(world.refusal("badexample.org") == Refusal::reset);
  CHECK(world.to(Protocol::tcp, "evil.example.org", 1).rule == "deny evil.example.org");
  CHECK(RulesWorld("allow *.example.org; deny evil.example.org").allows("evil.example.org"));
}

TEST_CASE("a suffix matches at labels, however deep") {
  RulesWorld world("allow *.b.example");
  CHECK(world.allows("a.b.example"));
  CHECK(world.allows("c.a.b.example"));
  CHECK_FALSE(world.allows("b.example"));
  CHECK_FALSE(world.allows("xb.example"));
  CHECK_FALSE(world.allows("b.example.evil"));
}

TEST_CASE("rules are about ports and protocols") {
  RulesWorld world("allow tcp/a.example:80-81; allow udp/a.example:53; allow icmp/a.example; default deny");
  CHECK(world.allows("a.example", 80));
  CHECK(world.allows("a.example", 81));
  CHECK_FALSE(world.allows("a.example", 82));
  CHECK(world.to(Protocol::udp, "a.example", 53).allowed);
  CHECK_FALSE(world.to(Protocol::udp, "a.example", 80).allowed);
  CHECK(world.to(Protocol::icmp, "a.example", 0).allowed);
  CHECK_FALSE(RulesWorld("allow a.example:80").to(Protocol::icmp, "a.example", 0).allowed);
  CHECK(RulesWorld("allow a.example").to(Protocol::icmp, "a.example", 0).allowed);
}

TEST_CASE("rejected is a reset for TCP and prohibited for the rest; denied is silence") {
  RulesWorld world("deny a.example; reject b.example; default deny");
  CHECK(world.refusal("a.example", 1, Protocol::udp) == Refusal::drop);
  CHECK(world.refusal("b.example") == Refusal::reset);
  CHECK(world.refusal("b.example", 1, Protocol::udp) == Refusal::prohibited);
  CHECK(world.refusal("b.example", 0, Protocol::icmp) == Refusal::prohibited);
  CHECK(world.refusal("c.example") == Refusal::drop);
}

TEST_CASE("an allowed name allows no address, and an allowed network no name") {
  RulesWorld world("allow a.example; allow 192.0.2.0/24");
  CHECK_FALSE(world.allows("198.51.100.1"));
  CHECK(world.allows("192.0.2.1"));
  CHECK_FALSE(world.allows("b.example"));
  CHECK_FALSE(world.allows("2001:db8::1"));
  CHECK(world.allows("::ffff:192.0.2.1"));
}

TEST_CASE("what a name resolves to is judged by rules on addresses that stand before its own") {
  const auto inside = IpAddress::v4(10, 1, 2, 3), outside = IpAddress::v4(192, 0, 2, 1);
  const auto before =
      RulesWorld("deny 10.0.0.0/8; allow *.corp.example").to(Protocol::tcp, "db.corp.example", 5432);
  REQUIRE(before.allowed);
  CHECK_FALSE(before.target.permits(inside));
  CHECK(before.target.permits(outside));
  const auto after =
      RulesWorld("allow *.corp.example; deny 10.0.0.0/8").to(Protocol::tcp, "db.corp.example", 5432);
  CHECK(after.target.permits(inside));
  const auto by_default =
      RulesWorld("deny 10.0.0.0/8; default allow; deny x.example").to(Protocol::tcp, "y.example", 1);
  CHECK_FALSE(by_default.target.permits(inside));
  // What would have to be asked, or sent elsewhere, is not dialled.
  const auto asked =
      RulesWorld("ask 10.0.0.0/8; allow *.corp.example").to(Protocol::tcp, "db.corp.example", 1);
  CHECK_FALSE(asked.target.permits(inside));
}

TEST_CASE("what a rule on addresses demands of a flow, a name that leads there does not get around") {
  const auto inside = IpAddress::v4(10, 1, 2, 3), loopback = IpAddress::v4(127, 0, 0, 1);
  const auto permits = [](const char* rules, const IpAddress& address) {
    return RulesWorld(rules).to(Protocol::tcp, "db.corp.example", 443).target.permits(address);
  };
  CHECK_FALSE(permits("allow tls/10.0.0.0/8; deny 10.0.0.0/8; default allow", inside));
  CHECK_FALSE(permits("allow http/10.0.0.0/8; allow tls/*.corp.example", inside));
  CHECK(permits("allow tls/10.0.0.0/8; allow tls/*.corp.example", inside));
  CHECK(permits("allow *.corp.example; allow tls/10.0.0.0/8", inside));
  CHECK_FALSE(permits("allow *.corp.example; allow tls/127.0.0.1", loopback));
  CHECK(permits("allow tls/*.corp.example; allow tls/127.0.0.1", loopback));
  CHECK(RulesWorld("allow tls/127.0.0.1").allows("127.0.0.1"));
  CHECK_FALSE(RulesWorld("allow *; allow tls/127.0.0.1").allows("127.0.0.1"));
}

TEST_CASE("a rule that refuses all is a default that denies") {
  for (const char* text :
       {"default deny", "default ask", "allow a.example; reject *; default allow", "deny *; default allow"})
    CHECK(rules_of(text)->denies_by_default());
  for (const char* text :
       {"default allow", "deny *.example; default allow", "deny udp/*; default allow",
        "deny *:25; default allow", "deny dns/*; default allow", "deny tls/*; default allow"})
    CHECK_FALSE(rules_of(text)->denies_by_default());
}

TEST_CASE("protected addresses take a rule that names them") {
  for (const char* text : {"allow *; default allow", "allow 0.0.0.0/0", "default allow"}) {
    RulesWorld world(text);
    CHECK_FALSE(world.allows("127.0.0.1"));
    CHECK_FALSE(world.allows("169.254.169.254", 80));
    CHECK_FALSE(world.allows("fd00:ec2::254", 80));
  }
  CHECK(RulesWorld("allow 169.254.169.254:80").allows("169.254.169.254", 80));
  CHECK_FALSE(RulesWorld("allow 169.254.169.254:80").allows("169.254.169.254", 443));
  CHECK(RulesWorld("allow 127.0.0.0/8").allows("127.0.0.1"));
  CHECK_FALSE(RulesWorld("deny 127.0.0.1; allow 127.0.0.0/8").allows("127.0.0.1"));

  const auto loopback = IpAddress::v4(127, 0, 0, 1);
  const auto named = RulesWorld("allow a.example").to(Protocol::tcp, "a.example", 1);
  CHECK_FALSE(named.target.permits(loopback));
  CHECK_FALSE(named.target.permits(*IpAddress::parse("::ffff:127.0.0.1")));
  const auto both = RulesWorld("allow a.example; allow 127.0.0.1").to(Protocol::tcp, "a.example", 1);
  CHECK(both.target.permits(loopback));
}

TEST_CASE("a rule for one name leads to a protected address that the hosts file gives it") {
  char path[] = "/tmp/nsrun-hosts-XXXXXX";
  const int file = ::mkstemp(path);
  REQUIRE(file >= 0);
  constexpr std::string_view text = "127.0.0.1 app.local\n0.0.0.0 ads.local\n";
  REQUIRE(::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  ::close(file);

  const auto permits = [&](const std::string& rules, const std::string& name, const IpAddress& address) {
    SyntheticNames names;
    RulePolicy policy({.hosts_file = path}, names, rules_of(rules));
    const Endpoint source = *Endpoint::parse("10.0.2.100:40000");
    const auto verdict = policy.judge({Protocol::tcp, source, {names.v4_for(name), 8080}});
    return verdict.allowed && verdict.target.permits(address);
  };
  const auto loopback = IpAddress::v4(127, 0, 0, 1);
  CHECK(permits("allow app.local:8080", "app.local", loopback));
  CHECK_FALSE(permits("allow app.local:8080", "app.local", IpAddress::v4(127, 0, 0, 2)));
  CHECK_FALSE(permits("allow other.local", "other.local", loopback));
  CHECK_FALSE(permits("allow *.local", "app.local", loopback));
  CHECK_FALSE(permits("default allow; via socks5://192.0.2.1:1@app.local", "app.local", loopback));
  CHECK_FALSE(permits("deny 127.0.0.1; allow app.local", "app.local", loopback));
  CHECK_FALSE(permits("allow ads.local", "ads.local", IpAddress::v4(0, 0, 0, 0)));
  ::unlink(path);
}

TEST_CASE("an unspecified address is not reached by any rule: connect would take it for loopback") {
  for (const char* text : {"default allow", "allow *", "allow 0.0.0.0; allow [::]; default allow",
                           "allow 0.0.0.0/8; allow ::/128", "ask 0.0.0.0; ask ::"})
    for (const char* host : {"0.0.0.0", "0.0.0.1", "::", "::ffff:0.0.0.0"}) {
      RulesWorld world(text);
      CHECK_FALSE(world.allows(host, 53));
      const auto named =
          RulesWorld(std::string(text) + "; allow a.example").to(Protocol::tcp, "a.example", 53);
      REQUIRE(named.allowed);
      CHECK_FALSE(named.target.permits(*IpAddress::parse(host)));
    }
  CHECK(RulesWorld("default allow").to(Protocol::tcp, "::", 53).rule == "unspecified-address");
  const auto redirected = RulesWorld("redirect *:53=192.0.2.1").to(Protocol::udp, "::", 53);
  CHECK(redirected.target.endpoint == Endpoint::parse("192.0.2.1:53"));
}

TEST_CASE("a policy without a guest's network gives no address a meaning of its own") {
  OutwardPolicy outward(rules_of("deny *; default deny"));
  const NetworkOptions usual;
  for (const auto& address : {IpAddress{}, IpAddress::v4(0, 0, 0, 0), usual.name_server4, usual.name_server6,
                              usual.gateway4, usual.gateway6})
    for (const auto protocol : {Protocol::tcp, Protocol::udp, Protocol::icmp})
      for (const std::uint16_t port : {53, 80}) {
        const auto verdict = outward.rules.judge({protocol, {}, {address, port}});
        CHECK_FALSE(verdict.allowed);
        CHECK(verdict.rule == "deny *");
      }
}

TEST_CASE("the gateway is the host's loopback, by any of its names") {
  const std::string gateway = "10.0.2.2";
  CHECK_FALSE(RulesWorld("default allow").allows(gateway));
  CHECK(RulesWorld("default allow", true).allows(gateway));
  CHECK_FALSE(RulesWorld("allow a.example", true).allows(gateway));
  for (const char* text : {"allow host.nsrun.internal:5432", "allow 127.0.0.1:5432", "allow 10.0.2.2:5432"}) {
    RulesWorld world(text);
    const auto verdict = world.to(Protocol::tcp, gateway, 5432);
    CHECK(verdict.allowed);
    CHECK(verdict.target.endpoint == *Endpoint::parse("127.0.0.1:5432"));
    CHECK(verdict.name == "host.nsrun.internal");
    CHECK_FALSE(world.allows(gateway, 5433));
  }
  CHECK_FALSE(RulesWorld("allow *").allows(gateway));
  CHECK_FALSE(RulesWorld("deny 127.0.0.1; allow host.nsrun.internal").allows(gateway));
}

TEST_CASE("the name server takes questions, and nothing else") {
  RulesWorld world("default deny");
  CHECK(world.to(Protocol::udp, "10.0.2.3", 53).allowed);
  CHECK(world.to(Protocol::tcp, "10.0.2.3", 53).allowed);
  CHECK_FALSE(world.allows("10.0.2.3", 80));
}

TEST_CASE("QUIC to a name takes a rule that says udp") {
  CHECK(RulesWorld("allow a.example").refusal("a.example", 443, Protocol::udp) == Refusal::prohibited);
  CHECK(RulesWorld("allow a.example").to(Protocol::udp, "a.example", 444).allowed);
  CHECK(RulesWorld("allow udp/a.example:443").to(Protocol::udp, "a.example", 443).allowed);
  CHECK(RulesWorld("default allow").to(Protocol::udp, "a.example", 443).allowed);
}

TEST_CASE("a synthetic address that was never handed out leads nowhere") {
  RulesWorld world("allow a.example");
  CHECK(world.to(Protocol::tcp, "198.19.0.9", 443).rule == "unknown-name");
}

TEST_CASE("a redirected flow goes where the rule says") {
  RulesWorld world("redirect api.example:443=127.0.0.1:9000; redirect 192.0.2.1=fake.example; default deny");
  const auto named = world.to(Protocol::tcp, "api.example", 443);
  REQUIRE(named.allowed);
  CHECK(named.target.to_string() == "tcp/127.0.0.1:9000");
  CHECK(named.name == "api.example");
  CHECK(world.to(Protocol::tcp, "192.0.2.1", 80).target.to_string() == "tcp/fake.example:80");
  CHECK_FALSE(world.allows("api.example", 80));
}

TEST_CASE("via and log are added to what decides") {
  RulesWorld world("log *.example; via socks5h://proxy@a.example; allow a.example; deny b.example");
  const auto allowed = world.to(Protocol::tcp, "a.example", 443);
  CHECK(allowed.allowed);
  CHECK(allowed.target.via == "socks5h://proxy");
  CHECK(allowed.logs);
  const auto denied = world.to(Protocol::tcp, "b.example", 443);
  CHECK_FALSE(denied.allowed);
  CHECK(denied.logs);
}

TEST_CASE("names may be asked about where a flow to them may be allowed, or a rule says so") {
  RulesWorld world(
      "deny x.a.example; allow *.a.example:443; allow dns/_sip._tcp.example; allow 192.0.2.0/24");
  CHECK(world.policy.permits_name("y.a.example"));
  CHECK_FALSE(world.policy.permits_name("x.a.example"));
  CHECK_FALSE(world.policy.permits_name("a.example"));
  CHECK(world.policy.permits_name("_sip._tcp.example"));
  CHECK_FALSE(world.allows("_sip._tcp.example", 5060));
  CHECK_FALSE(world.policy.permits_name(""));
  RulesWorld reversed("deny dns/secret.example; default allow");
  CHECK_FALSE(reversed.policy.permits_name("secret.example"));
  CHECK(reversed.policy.permits_name("other.example"));
  // What a program or a person has yet to allow is told to nobody meanwhile.
  RulesWorld asking("allow a.example:443; ask b.example; default reject");
  CHECK(asking.policy.tells_outside("a.example"));
  CHECK(asking.policy.permits_name("b.example"));
  CHECK_FALSE(asking.policy.tells_outside("b.example"));
  CHECK_FALSE(asking.policy.permits_name("c.example"));
  CHECK_FALSE(RulesWorld("default ask").policy.tells_outside("a.example"));
  // Denied on one port alone: it may still be asked about.
  CHECK(RulesWorld("deny a.example:25; default allow").policy.permits_name("a.example"));
}

TEST_CASE("what is to be asked about and nobody asks is denied") {
  RulesWorld world("default ask");
  const FlowKey key{Protocol::tcp, *Endpoint::parse("10.0.2.100:1"), {world.names.v4_for("a.example"), 443}};
  auto verdict = world.policy.judge(key);
  REQUIRE(verdict.asks);
  asio::io_context context;
  const auto ask = [](RulePolicy& policy, FlowKey asked, Verdict& into) -> Task<> {
    into = co_await policy.ask(asked, into);
  };
  asio::co_spawn(context, ask(world.policy, key, verdict), [](std::exception_ptr) {});
  context.run();
  CHECK_FALSE(verdict.allowed);
  CHECK(verdict.refusal == Refusal::drop);
}

TEST_CASE("what leads to the host's loopback may go to its other address, where the same rule allows it") {
  const auto loopback4 = IpAddress::v4(127, 0, 0, 1), loopback6 = *IpAddress::parse("::1");
  struct Case {
    const char* rules;
    bool both;
  };
  for (const auto& [rules, both] : {Case{"default allow", true}, Case{"allow host.nsrun.internal:80", true},
                                    Case{"allow 10.0.2.2:80", false}, Case{"deny ::1; default allow", false},
                                    Case{"allow 127.0.0.1; allow ::1", false}}) {
    const auto verdict = RulesWorld(rules, true).to(Protocol::tcp, "10.0.2.2", 80);
    INFO(rules);
    REQUIRE(verdict.allowed);
    REQUIRE(verdict.target.permits);
    CHECK(verdict.target.permits(loopback4));
    CHECK(verdict.target.permits(loopback6) == both);
  }
}

TEST_CASE("a sandbox's rule that opens localhost is an error that names host.nsrun.internal") {
  const auto load = [](Action action, const char* match) {
    PolicySources sources;
    sources.parts.emplace_back(make_rule(action, match).value());
    return load_for_sandbox(sources);
  };
  for (const char* match : {"localhost:8080", "tcp/localhost", "a.localhost", "*.localhost"}) {
    const auto loaded = load(Action::allow, match);
    REQUIRE_FALSE(loaded.has_value());
    CHECK(loaded.error().message().find("host.nsrun.internal") != std::string::npos);
    CHECK(loaded.error().exit == ExitCode::usage);
  }
  CHECK(load(Action::deny, "localhost").has_value());
  CHECK(load(Action::allow, "host.nsrun.internal:8080").has_value());
  CHECK(load(Action::allow, "localhost.example.org").has_value());
}
