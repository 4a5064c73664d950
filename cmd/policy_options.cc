#include "cmd/policy_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include "host/policy/fault_rule.h"
#include "host/policy/learner.h"
#include "host/policy/make_rule.h"

namespace nsrun {
namespace {

using Rules = std::vector<Rule>;

Error policy_usage(const std::string& option, const Error& error) {
  return {option + " " + error.doing, error.code, error.advice, ExitCode::usage};
}

Result<Rules> one(Result<Rule> rule) {
  if (!rule) return rule.error();
  return Rules{std::move(*rule)};
}

template <Action action>
Result<Rules> simple(const std::string& value) {
  return one(make_rule(action, value));
}

Result<Rules> domains(const std::string& value) {
  Rules rules;
  for (std::size_t begin = 0; begin <= value.size();) {
    const auto comma = std::min(value.find(',', begin), value.size());
    const auto name = value.substr(begin, comma - begin);
    auto rule = make_rule(Action::allow, name);
    if (!rule) return rule.error();
    if (!rule->match.is_by_name())
      return Error{"'" + name + "' is not a valid name", {}, "addresses go with --allow", ExitCode::usage};
    rules.push_back(std::move(*rule));
    begin = comma + 1;
  }
  return rules;
}

Result<Rules> redirect(const std::string& value) {
  const auto equals = value.find('=');
  if (equals == value.npos)
    return Error{"'" + value + "' does not say where to", {}, "write it as FROM=TO", ExitCode::usage};
  return one(make_redirect(value.substr(0, equals), value.substr(equals + 1)));
}

// The value may have a password in it, and is not repeated.
Result<Rules> via(const std::string& value) {
  const auto at = value.rfind('@');
  if (at == value.npos)
    return Error{"does not say for which flows", {}, "write it as URL@MATCH", ExitCode::usage};
  return one(make_via(value.substr(0, at), value.substr(at + 1)));
}

Result<Rules> fault(const std::string& value) { return one(parse_fault_rule(value)); }

// What makes rules of a value.
struct RuleOption {
  const char* name;
  Result<Rules> (*make)(const std::string& value);
};
constexpr std::array rule_options = {
    RuleOption{"--allow", simple<Action::allow>},
    RuleOption{"--allow-domains", domains},
    RuleOption{"--deny", simple<Action::deny>},
    RuleOption{"--reject", simple<Action::reject>},
    RuleOption{"--redirect", redirect},
    RuleOption{"--via", via},
    RuleOption{"--fault", fault},
    RuleOption{"--log-flows", simple<Action::log>},
};
constexpr auto policy_option = "--policy";

// Its place among the rules is the option's on the command line.
Result<void> take(PolicyChoice& choice, const std::string& option, const std::string& value) {
  if (option == policy_option) {
    choice.sources.parts.emplace_back(PolicySources::File{value});
    return {};
  }
  for (const auto& [name, make] : rule_options) {
    if (option != name) continue;
    auto rules = make(value);
    if (!rules) return policy_usage(option, rules.error());
    for (Rule& rule : *rules) {
      rule.where = option;
      choice.sources.parts.emplace_back(std::move(rule));
    }
  }
  return {};
}

Result<Clock::duration> parse_limit(const std::string& text) {
  unsigned seconds = 0;
  const auto [end, trouble] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (trouble != std::errc{} || end != text.data() + text.size() || seconds < 1 || seconds > 3600)
    return Error{"--ask-timeout '" + text + "' is not a valid duration",
                 {},
                 "write seconds, 1 to 3600",
                 ExitCode::usage};
  return std::chrono::seconds(seconds);
}

Result<std::uint64_t> parse_seed(const std::string& text) {
  std::uint64_t seed = 0;
  const auto [end, trouble] = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (trouble != std::errc{} || end != text.data() + text.size())
    return Error{"--fault-seed '" + text + "' is not a 64-bit number",
                 {},
                 "it is 0 to 18446744073709551615",
                 ExitCode::usage};
  return seed;
}

}  // namespace

void PolicyOptions::declare(CLI::App& app) {
  const auto repeated = [&](const char* name) {
    app.add_option(name)->expected(1)->allow_extra_args(false)->multi_option_policy(
        CLI::MultiOptionPolicy::TakeAll);
  };
  for (const auto& option : rule_options) repeated(option.name);
  repeated(policy_option);
  app.add_option("--default", default_)->take_last();
  app.add_option("--fault-seed", fault_seed_)->take_last();
  app.add_option("--ask", ask_)->take_last();
  app.add_option("--ask-timeout", ask_timeout_)->take_last();
  app.add_option("--learn", learn_)->take_last();
}

Result<PolicyChoice> PolicyOptions::finish(const CLI::App& app) const {
  PolicyChoice choice;
  std::map<const CLI::Option*, std::size_t> taken;
  for (const CLI::Option* option : app.parse_order()) {
    const auto name = option->get_name();
    const auto is_rule = [&](const RuleOption& known) { return name == known.name; };
    if (name != policy_option && std::none_of(rule_options.begin(), rule_options.end(), is_rule)) continue;
    if (auto done = take(choice, name, option->results().at(taken[option]++)); !done) return done.error();
  }
  if (!default_.empty()) {
    const auto action = parse_default(default_);
    if (!action) return policy_usage("--default", action.error());
    if (*action == Action::ask && ask_.empty())
      return Error{"--default ask has nobody to ask", {}, "give a program: --ask CMD", ExitCode::usage};
    choice.sources.otherwise = *action;
  }
  if (!ask_timeout_.empty()) {
    const auto limit = parse_limit(ask_timeout_);
    if (!limit) return limit.error();
    choice.ask_limit = *limit;
  }
  if (!fault_seed_.empty()) {
    const auto seed = parse_seed(fault_seed_);
    if (!seed) return seed.error();
    choice.sources.faults->seed = *seed;
  }
  if (!learn_.empty())
    if (auto fine = Learner::check(learn_); !fine) return policy_usage("--learn", fine.error());
  choice.ask = ask_;
  choice.learn = learn_;
  choice.sources.asks = !ask_.empty();
  choice.sources.learns = !learn_.empty();
  return choice;
}

}  // namespace nsrun
