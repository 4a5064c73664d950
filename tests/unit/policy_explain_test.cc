#include <algorithm>

#include "tests/support/catch.h"

#include "host/policy/explain.h"
#include "host/policy/policy_file.h"

using namespace nsrun;

namespace {

std::shared_ptr<const RuleSet> policy(std::string_view text) {
  auto file = parse_policy(text, "p.yaml").value();
  return std::make_shared<const RuleSet>(std::move(file.rules), file.otherwise.value_or(Action::reject));
}

const auto usual = policy(R"(
rules:
  - deny: evil.example.org
  - deny: 10.0.0.0/8
  - allow: "*.example.org:443"
  - via: socks5h://u:secret@proxy
    match: "*.example.org"
  - redirect: api.example.com:443
    to: 127.0.0.1:9000
)");

Explanation explained(std::string_view subject) { return explain(usual, subject).value(); }

bool says(const std::vector<std::string>& lines, const std::string& words) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const auto& line) { return line.find(words) != line.npos; });
}

}  // namespace

TEST_CASE("an explanation names the rule that decides, and where it stands") {
  const auto allowed = explained("good.example.org:443");
  CHECK(allowed.subject == "tcp/good.example.org:443");
  CHECK(allowed.verdict == "allow");
  CHECK(allowed.where == "p.yaml:5");
  CHECK(says(allowed.conditions, "its server name must be good.example.org"));
  CHECK(says(allowed.conditions, "p.yaml:4: deny 10.0.0.0/8"));
  CHECK(says(allowed.conditions, "p.yaml:7: via"));
  CHECK_FALSE(says(allowed.conditions, "secret"));

  const auto denied = explained("tcp/evil.example.org:443");
  CHECK(denied.verdict == "deny");
  CHECK(denied.where == "p.yaml:3");
  CHECK(says(denied.passed_over, "p.yaml:5: allow *.example.org:443 comes later"));

  const auto other_port = explained("good.example.org:80");
  CHECK(other_port.verdict == "reject");
  CHECK(other_port.rule == "default");
  CHECK(says(other_port.passed_over, "is about another port"));
  CHECK(explained("api.example.com:443").target == "tcp/127.0.0.1:9000");
}

TEST_CASE("an explanation knows the built-in protections") {
  const auto open = policy("default: allow");
  CHECK(explain(open, "169.254.169.254:80").value().rule == "protected-address");
  CHECK(explain(open, "0.0.0.0:80").value().rule == "unspecified-address");
  CHECK_THAT(explain(open, "[::]:80").value().because, Catch::Contains("not addresses of a host"));
  CHECK(explain(open, "host.nsrun.internal:80").value().rule == "host-loopback");
  CHECK(explain(policy("rules:\n- allow: a.example"), "udp/a.example:443").value().rule == "quic");
  CHECK(explain(open, "192.0.2.1:80").value().verdict == "allow");
  CHECK(explain(policy("default: ask"), "a.example:80").value().verdict == "ask");
  CHECK(says(explain(policy("rules:\n- allow: tls/192.0.2.1"), "192.0.2.1:443").value().conditions,
             "must be TLS"));
  CHECK(says(
      explain(policy("default: allow\nrules:\n- allow: tls/192.0.2.1"), "a.example:443").value().conditions,
      "not where it resolves"));
  CHECK(explained("dns/good.example.org").verdict == "allow");
  CHECK(explained("dns/example.org").verdict == "reject");
}

TEST_CASE("what is not one flow is not explained") {
  for (const char* text :
       {"", "good.example.org", "10.0.0.0/8:80", "*.example.org:443", "a.example:1-2", "*:1"})
    CHECK(explain(usual, text).error().exit == ExitCode::usage);
}
