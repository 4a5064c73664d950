#include "host/policy/guest_hosts.h"

#include "host/policy/make_rule.h"
#include "tests/support/catch.h"

using namespace nsrun;

namespace {

constexpr std::string_view guest_hosts_text =
    "127.0.0.1\tlocalhost box.local app.local\n"
    "::1 ip6-localhost\n"
    "# 192.0.2.1 box.test\n"
    "0.0.0.0 ads.test\n"
    "\n"
    "192.0.2.7 Box.test box # a comment\n"
    "nonsense box.test\n"
    "2001:db8::7 box.test.\n"
    "192.0.2.8 other.test";

RuleSet rules(std::vector<Rule> all, Action otherwise = Action::reject) {
  return RuleSet(std::move(all), otherwise);
}
Rule allow(const std::string& text) { return make_rule(Action::allow, text).value(); }

std::optional<std::string> hosts_under(const RuleSet& set, std::vector<std::string> search = {}) {
  ResolverConfig resolver;
  resolver.search = std::move(search);
  return guest_hosts(guest_hosts_text, set, resolver);
}

}  // namespace

TEST_CASE("a sandbox's hosts file has no name that a rule by name is about") {
  CHECK(hosts_under(rules({allow("box.test:80")})) ==
        "127.0.0.1\tlocalhost box.local app.local\n::1 ip6-localhost\n# 192.0.2.1 box.test\n0.0.0.0 "
        "ads.test\n\n"
        "192.0.2.7\tbox\nnonsense box.test\n192.0.2.8 other.test\n");
  CHECK(hosts_under(rules({make_rule(Action::deny, "*.test").value(), allow("box")}))
            ->ends_with("\nnonsense box.test\n"));
}

TEST_CASE("a sandbox's hosts file stays as it is where no rule by name is about its names") {
  CHECK_FALSE(hosts_under(rules({})));
  CHECK_FALSE(hosts_under(rules({allow("192.0.2.7"), allow("*:80")})));
  CHECK_FALSE(hosts_under(rules({allow("test"), allow("localhost"), allow("*.localhost")})));
}

TEST_CASE("in a sandbox a name of the host's loopback is the sandbox itself, unless a rule opens that name") {
  CHECK_FALSE(hosts_under(rules({allow("*.local")})));
  CHECK_FALSE(hosts_under(rules({make_rule(Action::deny, "app.local").value()}, Action::allow)));
  CHECK_FALSE(hosts_under(rules({allow("ads.test")})));
  CHECK(hosts_under(rules({allow("app.local:8080")}))->starts_with("127.0.0.1\tlocalhost\tbox.local\n"));
}

TEST_CASE(
    "a name that the resolver would find below its search list first stays in the sandbox's hosts file") {
  CHECK(hosts_under(rules({allow("box")}), {"lan.test"})->find("192.0.2.7\tBox.test\n") != std::string::npos);
  CHECK_FALSE(hosts_under(rules({allow("box"), allow("*.lan.test")}), {"lan.test"}));
  CHECK_FALSE(hosts_under(rules({allow("box")}, Action::allow), {"lan.test"}));
  CHECK(hosts_under(rules({allow("box.test")}, Action::allow), {"lan.test"}));
}
