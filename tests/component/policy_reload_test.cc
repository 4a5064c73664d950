#include "host/sandbox/policy_reload.h"

#include <array>
#include "tests/support/catch.h"

#include "host/carry/carrier.h"
#include "host/flow/memory_pipe.h"
#include "host/policy/fault_rule.h"
#include "tests/support/dialers_loop.h"

// Flows at every stage of their life while the policy is replaced:
//
//   AskedRequest ─► Carrier ─► RulePolicy        Dialer: answers when the test says so
//                     └──► LiveFlows ◄── PolicyReload

using namespace nsrun;
using namespace nsrun::test;

namespace {

std::shared_ptr<const RuleSet> allowing(const char* allowed) {
  Rule rule;
  rule.match = Match::parse(allowed).value();
  return std::make_shared<const RuleSet>(std::vector{rule}, Action::reject);
}

struct ReloadFate {
  bool accepted = false;
  std::optional<Refusal> refused;
};

class AskedRequest final : public Request {
 public:
  AskedRequest(Executor executor, FlowKey key, ReloadFate& fate, std::unique_ptr<Connection>& other_end)
      : executor_(executor), key_(std::move(key)), fate_(fate), other_end_(other_end) {}
  const FlowKey& key() const override { return key_; }
  std::unique_ptr<Connection> accept() override {
    fate_.accepted = true;
    auto [ours, theirs] = memory_pipe(executor_, Transport::stream);
    other_end_ = std::move(theirs);
    return std::move(ours);
  }
  void refuse(Refusal how) override { fate_.refused = how; }

 private:
  Executor executor_;
  const FlowKey key_;
  ReloadFate& fate_;
  std::unique_ptr<Connection>& other_end_;
};

// Answers a dial when it is told to.
class SlowDialer final : public Dialer {
 public:
  explicit SlowDialer(Executor executor) : executor_(executor), go(executor) {}
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override {
    ++dials;
    if (target.resolved) target.resolved({target.protocol, {resolves_to, target.endpoint.port}, {}});
    co_await go.wait();
    auto [ours, theirs] = memory_pipe(executor_, Transport::stream);
    far = std::move(theirs);
    co_return std::move(ours);
  }

 private:
  Executor executor_;

 public:
  Signal go;
  std::unique_ptr<Connection> far;
  IpAddress resolves_to;
  int dials = 0;
};

struct Ends final : Events {
  void flow_ended(const FlowRecord& record) override { ends.push_back({record.end, record.why}); }
  std::vector<std::pair<FlowEnd, std::string>> ends;
};

HostOptions options_with(std::shared_ptr<const RuleSet> first, RuleLoader loader, Events& events) {
  HostOptions options;
  options.rules = std::move(first);
  options.reload = std::move(loader);
  options.events = &events;
  return options;
}

struct ReloadWorld {
  ReloadWorld(RuleLoader loader, std::shared_ptr<const RuleSet> first)
      : sandbox(options_with(std::move(first), std::move(loader), events), loop.executor()) {}

  void ask(const FlowKey& key) {
    carrier.begin(std::make_unique<AskedRequest>(loop.executor(), key, fate, near), loop.beside);
  }
  // What the reload said: how many were cut, or the error's words.
  Task<> replace(std::size_t& cut, std::string& error) {
    std::vector<FlowLoop> loops{{loop.context, flows}};
    const auto done = co_await reload.run(std::move(loops));
    if (done)
      cut = *done;
    else
      error = done.error().message();
  }

  Loop loop;
  Ends events;
  nsrun::Sandbox sandbox;
  LiveFlows flows;
  SlowDialer dialer{loop.executor()};
  Carrier carrier{sandbox.policy, dialer, sandbox.ledger, flows, Asker::guest};
  PolicyReload reload{sandbox};
  ReloadFate fate;
  std::unique_ptr<Connection> near;
};

const FlowKey reload_key{Protocol::tcp, *Endpoint::parse("10.0.2.100:40000"),
                         *Endpoint::parse("192.0.2.1:80")};

Task<> reload_while_dialling(ReloadWorld& world) {
  world.ask(reload_key);
  REQUIRE(world.dialer.dials == 1);
  std::size_t cut = 0;
  std::string error;
  co_await world.replace(cut, error);
  CHECK(cut == 1);
  CHECK(error.empty());
  CHECK(world.fate.refused == Refusal::reset);
}

Task<> reload_while_relayed(ReloadWorld& world) {
  world.ask(reload_key);
  world.dialer.go.raise();
  while (!world.near) co_await give_way();
  std::size_t cut = 0;
  std::string error;
  co_await world.replace(cut, error);
  CHECK(cut == 1);
  std::array<std::byte, 10> room;
  const auto read = co_await world.near->read(room);
  CHECK_FALSE(read.has_value());
  const auto far = co_await world.dialer.far->read(room);
  CHECK_FALSE(far.has_value());
}

// The policy is replaced, and the dial ends before anybody looks at the flow.
Task<> dial_ends_after_replacement(ReloadWorld& world) {
  world.ask(reload_key);
  world.sandbox.policy.replace(allowing("192.0.2.2"));
  world.dialer.go.raise();
  while (world.events.ends.empty()) co_await give_way();
  CHECK_FALSE(world.fate.accepted);
  CHECK(world.fate.refused == Refusal::reset);
}

Task<> reload_fails(ReloadWorld& world) {
  world.ask(reload_key);
  world.dialer.go.raise();
  while (!world.near) co_await give_way();
  std::size_t cut = 0;
  std::string error;
  co_await world.replace(cut, error);
  CHECK(error == "the policy stays as it was: line 7 is wrong");
  CHECK(world.events.ends.empty());
  CHECK(world.sandbox.policy.generation() == 0);
  CHECK(world.sandbox.policy.judge(reload_key).allowed);
}

// A fault is added, rules are replaced by the embedder, and another fault is added.
Task<> replaced_between_additions(ReloadWorld& world) {
  const auto add = [](const char* match) {
    return [rule = parse_fault_rule("latency=1ms", match).value()](std::vector<Rule>& added) {
      added.push_back(rule);
      return true;
    };
  };
  const auto in_force = [&world] {
    std::vector<std::string> texts;
    for (const Rule& rule : world.sandbox.policy.rules()->rules()) texts.push_back(rule.match.to_string());
    return texts;
  };
  auto done = co_await world.reload.change_added(add("192.0.2.7"));
  REQUIRE(done.has_value());
  world.reload.replace(allowing("192.0.2.2"));
  CHECK(in_force() == std::vector<std::string>{"192.0.2.7", "192.0.2.2"});
  done = co_await world.reload.change_added(add("192.0.2.8"));
  REQUIRE(done.has_value());
  CHECK(in_force() == std::vector<std::string>{"192.0.2.7", "192.0.2.8", "192.0.2.2"});
  CHECK_FALSE(world.sandbox.policy.judge(reload_key).allowed);
  const auto generation = world.sandbox.policy.generation();
  done = co_await world.reload.change_added([](std::vector<Rule>&) { return false; });
  CHECK(world.sandbox.policy.generation() == generation);
}

Task<> name_moves_into_a_denied_network(ReloadWorld& world) {
  FlowKey by_name = reload_key;
  by_name.target.address = world.sandbox.synthetic.v4_for("www.example.test");
  world.dialer.resolves_to = IpAddress::v4(192, 0, 2, 77);
  world.ask(by_name);
  world.dialer.go.raise();
  while (!world.near) co_await give_way();
  std::size_t cut = 0;
  std::string error;
  co_await world.replace(cut, error);
  CHECK(cut == 1);
}

Task<> reload_when_the_address_is_another_names(ReloadWorld& world) {
  FlowKey by_name = reload_key;
  by_name.target.address = world.sandbox.synthetic.v4_for("www.example.test");
  world.dialer.resolves_to = IpAddress::v4(192, 0, 2, 77);
  world.ask(by_name);
  world.dialer.go.raise();
  while (!world.near) co_await give_way();
  for (std::size_t i = 0; i < SyntheticNames::max_names; ++i)
    world.sandbox.synthetic.v4_for(std::to_string(i) + ".other.test");
  CHECK(world.sandbox.synthetic.name_of(by_name.target.address)->str().ends_with(".other.test"));
  std::size_t cut = 0;
  std::string error;
  co_await world.replace(cut, error);
  CHECK(cut == 1);
}

}  // namespace

TEST_CASE("a flow that is dialled for is cut when a new policy refuses it, and its asker answered") {
  ReloadWorld world([] { return allowing("192.0.2.2"); }, allowing("192.0.2.1"));
  world.loop.run(reload_while_dialling(world));
  REQUIRE(world.events.ends.size() == 1);
  CHECK(world.events.ends[0].first == FlowEnd::policy);
}

TEST_CASE("a flow that is relayed is cut when a new policy refuses it, with a reset both ways") {
  ReloadWorld world([] { return allowing("192.0.2.2"); }, allowing("192.0.2.1"));
  world.loop.run(reload_while_relayed(world));
  REQUIRE(world.events.ends.size() == 1);
  CHECK(world.events.ends[0].first == FlowEnd::policy);
  CHECK(world.events.ends[0].second == "the policy changed: default");
}

TEST_CASE("a flow whose dial ends just after the policy was replaced is judged by the new one") {
  ReloadWorld world([] { return allowing("192.0.2.2"); }, allowing("192.0.2.1"));
  world.loop.run(dial_ends_after_replacement(world));
  CHECK(world.events.ends[0].first == FlowEnd::policy);
}

TEST_CASE("rules that cannot be read leave the old ones in force, and flows alone") {
  ReloadWorld world([]() -> Result<std::shared_ptr<const RuleSet>> { return Error{"line 7 is wrong"}; },
                    allowing("192.0.2.1"));
  world.loop.run(reload_fails(world));
}

TEST_CASE(
    "rules that replaced others stay in force when a fault is added, and so do faults when rules change") {
  ReloadWorld world([] { return allowing("*"); }, allowing("192.0.2.1"));
  world.loop.run(replaced_between_additions(world));
}

TEST_CASE("a flow by name is cut when the new policy denies the address that its name was dialled at") {
  Rule deny, allow;
  deny.action = Action::deny;
  deny.match = Match::parse("192.0.2.0/24").value();
  allow.match = Match::parse("www.example.test").value();
  ReloadWorld world(
      [=] {
        return std::make_shared<const RuleSet>(std::vector{deny, allow}, Action::reject);
      },
      std::make_shared<const RuleSet>(std::vector{allow}, Action::reject));
  world.loop.run(name_moves_into_a_denied_network(world));
  CHECK(world.events.ends[0].first == FlowEnd::policy);
}

TEST_CASE("a flow is judged by the name that it was dialled by, also when its address stands for another") {
  ReloadWorld world([] { return allowing("*.other.test"); }, allowing("*"));
  world.loop.run(reload_when_the_address_is_another_names(world));
  REQUIRE(world.events.ends.size() == 1);
  CHECK(world.events.ends[0].second == "the policy changed: default");
}
