#include <cstdlib>
#include <fstream>
#include "tests/support/catch.h"

#include "host/policy/make_rule.h"
#include "host/policy/policy_file.h"
#include "host/policy/policy_sources.h"

using namespace nsrun;

namespace {

std::string file_error(std::string_view text) {
  const auto file = parse_policy(text, "p.yaml");
  if (!file) CHECK(file.error().exit == ExitCode::usage);
  return file ? "it is fine" : file.error().message();
}

std::vector<std::string> rules_of_file(std::string_view text) {
  std::vector<std::string> rules;
  const auto file = parse_policy(text, "p.yaml");
  for (const Rule& rule : file.value().rules) rules.push_back(rule.where + " " + rule.to_string());
  return rules;
}

// A directory of its own, gone at the end.
class PolicyFolder {
 public:
  PolicyFolder() { ::mkdtemp(path_); }
  ~PolicyFolder() { std::system(("rm -r " + std::string(path_)).c_str()); }
  std::string write(const std::string& name, const std::string& text) const {
    const auto path = std::string(path_) + "/" + name;
    std::ofstream(path) << text;
    return path;
  }
  std::string path() const { return path_; }

 private:
  char path_[32] = "/tmp/nsrun-policy-XXXXXX";
};

using Parts = decltype(PolicySources::parts);

PolicySources sources_of_file(Parts parts, std::optional<Action> otherwise = {}, bool asks = false,
                              bool learns = false) {
  return {std::move(parts), otherwise, asks, learns};
}

Action default_of(const PolicySources& sources) { return sources.load().value()->default_action(); }

Rule make_rule_of(Action action) { return make_rule(action, "*").value(); }

}  // namespace

TEST_CASE("a policy file says what the options say, rule by rule") {
  const auto rules = rules_of_file(R"(version: 1
default: deny            # the rest
rules:
  - allow: GitHub.com
  - allow: [pypi.org, files.pythonhosted.org:443]
  - redirect: api.stripe.com:443
    to: 127.0.0.1:9000
  - match:
      - "*.corp.example"
      - '[2001:db8::1]:443'
    via: socks5h://anna:secret@127.0.0.1:1080
  - {log: "*:25"}
  - allow: dns/_sip._tcp.example.org
  - ask: tls/example.com
)");
  const std::vector<std::string> expected = {"p.yaml:4 allow github.com",
                                             "p.yaml:5 allow pypi.org",
                                             "p.yaml:5 allow files.pythonhosted.org:443",
                                             "p.yaml:6 redirect api.stripe.com:443=127.0.0.1:9000",
                                             "p.yaml:9 via *.corp.example socks5h://127.0.0.1:1080",
                                             "p.yaml:10 via [2001:db8::1]:443 socks5h://127.0.0.1:1080",
                                             "p.yaml:12 log *:25",
                                             "p.yaml:13 allow dns/_sip._tcp.example.org",
                                             "p.yaml:14 ask tls/example.com"};
  CHECK(rules == expected);
  CHECK(parse_policy("default: deny", "p").value().otherwise == Action::deny);
}

TEST_CASE("an empty policy has no rules") {
  for (const char* text :
       {"", "# nothing", "---", "rules:", "rules: []", "rules: ~", "version: 1", "\xef\xbb\xbf"}) {
    const auto file = parse_policy(text, "p.yaml");
    REQUIRE(file.has_value());
    CHECK(file->rules.empty());
    CHECK_FALSE(file->otherwise);
  }
}

TEST_CASE("what is wrong in a policy file is said with its place, its key, and what was expected") {
  const std::pair<const char*, const char*> cases[] = {
      {"rules:\n  - alow: x", "p.yaml:2:5: alow: there is no such key (a rule has allow"},
      {"rule:\n  - allow: x", "p.yaml:1:1: rule: there is no such key (the keys of a policy are"},
      {"version: 2", "p.yaml:1:10: version: '2' is unknown (it is 1)"},
      {"default: maybe",
       "p.yaml:1:10: default: 'maybe' is not a valid default (it is allow, deny, reject or ask)"},
      {"default: deny\ndefault: deny", "p.yaml:2:1: default: is said twice"},
      {"rules:\n- allow: x\n  allow: y", "p.yaml:3:3: allow: is said twice"},
      {"rules:\n- allow: x\n  deny: y",
       "p.yaml:3:3: deny: a rule has one action, and this has allow already"},
      {"rules:\n- match: x", "p.yaml:2:3: this rule has no action"},
      {"rules:\n- {}", "p.yaml:2:3: this rule has no action"},
      {"rules:\n- redirect: x", "p.yaml:2:3: redirect: the rule has no to"},
      {"rules:\n- via: direct://", "p.yaml:2:3: via: the rule has no match"},
      {"rules:\n- allow: x\n  to: y", "p.yaml:3:3: to: does not go with allow"},
      {"rules:\n- redirect: x\n  to: [a, b]", "p.yaml:3:3: to: is a list"},
      {"rules:\n- redirect: x\n  to: a:b:c", "p.yaml:3:7: to: 'a:b:c' is not a valid destination"},
      {"rules:\n- via: socks5h://p\n  match: a..b", "p.yaml:3:10: match: 'a..b'"},
      {"rules:\n- via: gopher://u:secret@p\n  match: a", "p.yaml:2:8: via: not a dialer"},
      {"rules:\n- allow: [good, 10.0.0.0/40]", "p.yaml:2:17: allow: '10.0.0.0/40'"},
      {"rules:\n- allow:\n", "p.yaml:2:9: allow: this is not a text"},
      {"rules:\n- allow: {a: b}", "p.yaml:2:10: allow: this is not a text"},
      {"rules:\n- allow: [[a]]", "p.yaml:2:11: allow: this is not a text"},
      {"rules:\n- x", "p.yaml:2:3: rules: this is not a rule"},
      {"rules: x", "p.yaml:1:8: rules: this is not a list"},
      {"- allow: x", "p.yaml:1:1: a policy is a mapping"},
      {"rules:\n- allow: *.example.org", "p.yaml:2:11: this is not YAML"},
      {"rules:\n- &a allow: x", "anchors"},
      {"rules:\n- allow: *a", "aliases"},
      {"rules:\n- allow: !!str x", "tags"},
      {"version: 1\n---\nversion: 1", "p.yaml:2:1: a second document begins"},
      {"rules:\n- allow: \"a\\0b\"", "p.yaml:2:10: allow: 'ab'"},
      {"rules: \"\x01\"", "p.yaml:1:9: this is not YAML"},
      {"rules:\n- allow: [a", "this is not YAML"},
  };
  for (const auto& [text, words] : cases)
    CHECK_THAT(file_error(text), Catch::StartsWith(words) || Catch::Contains(words));
  CHECK_THAT(file_error("rules:\n- allow: *.example.org"), Catch::Contains("\"*.example.org\""));
  CHECK_THAT(file_error("rules:\n- via: gopher://u:secret@p\n  match: a"), !Catch::Contains("secret"));
}

TEST_CASE("deep and endless texts end in an error, not in our memory") {
  CHECK_THAT(file_error("rules: " + std::string(100'000, '[')), Catch::Contains("p.yaml:1:"));
  CHECK_THAT(file_error("rules:\n- " + std::string(100'000, '{')), Catch::Contains("p.yaml:2:"));
  CHECK_THAT(file_error(std::string(100'000, '-')), Catch::Contains("p.yaml:1:"));
}

TEST_CASE("only regular files of a bounded size are read") {
  const PolicyFolder folder;
  CHECK_THAT(read_policy(folder.path()).error().message(), Catch::Contains("not a regular file"));
  CHECK_THAT(read_policy("/dev/null").error().message(), Catch::Contains("not a regular file"));
  CHECK_THAT(read_policy(folder.path() + "/none").error().message(), Catch::Contains("No such file"));
  const auto large = folder.write("large.yaml", "#");
  std::system(("truncate -s 33M " + large).c_str());
  CHECK_THAT(read_policy(large).error().message(), Catch::Contains("32 MiB"));
}

TEST_CASE("the default is the command line's, else the last file's, else what the rules are") {
  const PolicyFolder folder;
  const PolicySources::File plain{folder.write("plain.yaml", "rules: []")};
  const PolicySources::File denies{folder.write("denies.yaml", "default: deny")};
  const PolicySources::File allows{folder.write("allows.yaml", "default: allow")};
  CHECK(default_of({}) == Action::allow);
  CHECK(default_of(sources_of_file({make_rule_of(Action::allow)})) == Action::reject);
  CHECK(default_of(sources_of_file({make_rule_of(Action::deny)})) == Action::allow);
  CHECK(default_of(sources_of_file({plain})) == Action::reject);
  CHECK(default_of(sources_of_file({denies, allows, plain})) == Action::allow);
  CHECK(default_of(sources_of_file({allows, denies})) == Action::deny);
  CHECK(default_of(sources_of_file({allows}, Action::reject)) == Action::reject);
  CHECK(default_of(sources_of_file({denies}, {}, true)) == Action::ask);
  CHECK(default_of(sources_of_file({denies}, {}, false, true)) == Action::allow);
  CHECK(default_of(sources_of_file({denies}, {}, true, true)) == Action::ask);
}

TEST_CASE("rules of files stand where the file stands") {
  const PolicyFolder folder;
  const PolicySources::File file{folder.write("p.yaml", "rules:\n- allow: [b.example, c.example]")};
  auto first = make_rule_of(Action::deny), last = make_rule_of(Action::reject);
  const auto rules = sources_of_file({first, file, last}).load().value();
  REQUIRE(rules->rules().size() == 4);
  CHECK(rules->rules()[0].action == Action::deny);
  CHECK(rules->rules()[2].match.name == "c.example");
  CHECK(rules->rules()[3].action == Action::reject);
}
