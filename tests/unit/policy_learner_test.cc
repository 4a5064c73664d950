#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include "tests/support/catch.h"

#include "host/policy/learner.h"
#include "host/policy/make_rule.h"
#include "host/policy/policy_file.h"
#include "host/policy/rule_policy.h"

using namespace nsrun;

namespace {

std::vector<std::string> learnt_rules(const Learner& learner) {
  std::vector<std::string> rules;
  const auto file = parse_policy(learner.policy("title"), "learnt");
  for (const Rule& rule : file.value().rules) rules.push_back(rule.match.to_string());
  return rules;
}

void saw(Learner& learner, const std::string& host, std::uint16_t port, Protocol protocol = Protocol::tcp) {
  const auto address = IpAddress::parse(host);
  learner.saw_flow(protocol, address ? "" : host, {address ? *address : IpAddress::v4(198, 18, 1, 0), port});
}

}  // namespace

TEST_CASE(
    "what was seen becomes rules: names before addresses, sorted, ports that follow each other as ranges") {
  Learner learner;
  for (const char* host : {"b.example", "192.0.2.10", "a.example", "2001:db8::1", "192.0.2.9"})
    saw(learner, host, 443);
  for (const std::uint16_t port : {8001, 8000, 8002, 8004}) saw(learner, "a.example", port);
  saw(learner, "a.example", 443, Protocol::udp);
  saw(learner, "a.example", 0, Protocol::icmp);
  saw(learner, "a.example", 443);
  learner.saw_question("a.example");
  learner.saw_question("_sip._tcp.example");
  const std::vector<std::string> expected = {
      "tcp/a.example:443",     "tcp/a.example:8000-8002", "tcp/a.example:8004", "udp/a.example:443",
      "icmp/a.example",        "tcp/b.example:443",       "tcp/192.0.2.9:443",  "tcp/192.0.2.10:443",
      "tcp/[2001:db8::1]:443", "dns/_sip._tcp.example"};
  auto sorted = learnt_rules(learner), wanted = expected;
  std::sort(sorted.begin(), sorted.end());
  std::sort(wanted.begin(), wanted.end());
  CHECK(sorted == wanted);
  CHECK(learnt_rules(learner).front() == "tcp/a.example:443");
  CHECK(learnt_rules(learner).back() == "dns/_sip._tcp.example");
}

TEST_CASE("a learnt policy does not depend on the order of things") {
  Learner one, other;
  for (const char* host : {"a.example", "b.example", "192.0.2.1"}) saw(one, host, 80);
  for (const char* host : {"192.0.2.1", "b.example", "a.example", "b.example"}) saw(other, host, 80);
  CHECK(one.policy("title") == other.policy("title"));
}

TEST_CASE("names that a guest makes up do not become rules about others") {
  Learner learner;
  for (const char* name : {"*.example", "127.1", "a:80", "a/8", "o'neill.example", "# comment", "tcp"})
    learner.saw_question(name), learner.saw_flow(Protocol::tcp, name, {IpAddress(), 443});
  for (const auto& rule : learnt_rules(learner)) {
    CAPTURE(rule);
    CHECK((rule == "tcp/o'neill.example:443" || rule == "tcp/tcp:443"));
  }
  CHECK(parse_policy(learner.policy("a title\nrules: x"), "learnt").has_value());
}

TEST_CASE("nothing seen is a policy that allows nothing") {
  const auto file = parse_policy(Learner().policy("title"), "learnt");
  CHECK(file.value().rules.empty());
  CHECK(file.value().otherwise == Action::reject);
}

TEST_CASE("what a guest can make us remember is bounded, and the policy says that it is not whole") {
  Learner learner;
  for (std::size_t i = 0; i <= Learner::most; ++i) learner.saw_question("n" + std::to_string(i) + ".example");
  CHECK(learnt_rules(learner).size() == Learner::most);
  CHECK_THAT(learner.policy("title").substr(0, 200), Catch::Contains("more than could be learnt"));
}

TEST_CASE("the file is replaced whole, readable as the umask says, and nothing else is left") {
  char folder[] = "/tmp/nsrun-learner-XXXXXX";
  REQUIRE(::mkdtemp(folder));
  const auto path = std::string(folder) + "/policy.yaml";
  std::ofstream(path) << "old";
  Learner learner;
  saw(learner, "a.example", 443);
  REQUIRE(learner.write(path, "title").has_value());
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  CHECK(text.str() == learner.policy("title"));
  struct stat status {};
  ::stat(path.c_str(), &status);
  const auto mask = ::umask(0);
  ::umask(mask);
  CHECK((status.st_mode & 0777) == (0666 & ~mask));
  CHECK(std::system(("test $(ls -A " + std::string(folder) + " | wc -l) = 1").c_str()) == 0);
  CHECK_THAT(learner.write(std::string(folder) + "/none/policy", "title").error().message(),
             Catch::Contains("No such"));
  CHECK_FALSE(Learner::check(folder).has_value());
  CHECK_FALSE(Learner::check(std::string(folder) + "/none/policy").has_value());
  CHECK(Learner::check(path).has_value());
  std::system(("rm -r " + std::string(folder)).c_str());
}

TEST_CASE("a learning policy remembers what was allowed, by name") {
  Learner learner;
  SyntheticNames names;
  std::vector<Rule> rules = {make_rule(Action::reject, "bad.example").value()};
  RulePolicy policy({.network = NetworkOptions{}, .always_names = true}, names,
                    std::make_shared<const RuleSet>(std::move(rules), Action::allow));
  LearningPolicy learning(policy, learner);
  const Endpoint guest = *Endpoint::parse("10.0.2.100:1");
  CHECK(learning.judge({Protocol::tcp, guest, {names.v4_for("good.example"), 443}}).allowed);
  CHECK_FALSE(learning.judge({Protocol::tcp, guest, {names.v4_for("bad.example"), 443}}).allowed);
  CHECK(learning.judge({Protocol::udp, guest, *Endpoint::parse("10.0.2.3:53")}).allowed);
  CHECK_FALSE(learning.judge({Protocol::tcp, guest, *Endpoint::parse("169.254.169.254:80")}).allowed);
  CHECK(learnt_rules(learner) == std::vector<std::string>{"tcp/good.example:443"});
}
