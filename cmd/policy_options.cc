#include "cmd/policy_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <map>

#include "host/policy/fault_rule.h"

namespace nsrun {
namespace {

Error usage(const std::string& option, const Error& error) {
  return {option + " " + error.doing, {}, error.advice, ExitCode::usage};
}

Result<Action> parse_default(const std::string& text) {
  for (const Action action : {Action::allow, Action::deny, Action::reject})
    if (text == to_string(action)) return action;
  return Error{"--default '" + text + "' is unknown", {}, "it is allow, deny or reject", ExitCode::usage};
}

// A list of what is allowed allows nothing else, and says so at once rather than by silence.
Action usual_default(const std::vector<Rule>& rules) {
  const auto opens = [](const Rule& rule) { return rule.action == Action::allow; };
  return std::any_of(rules.begin(), rules.end(), opens) ? Action::reject : Action::allow;
}

}  // namespace

void PolicyOptions::declare(CLI::App& app) {
  for (const char* name : {"--allow", "--deny", "--reject", "--redirect", "--fault"})
    app.add_option(name)->expected(1)->allow_extra_args(false)->multi_option_policy(
        CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--default", default_)->take_last();
  app.add_option("--fault-seed", fault_seed_)->take_last();
}

Result<void> PolicyOptions::take(const std::string& option, const std::string& value,
                                 std::vector<Rule>& rules) const {
  if (option == "--fault") return take_fault(value, rules);
  Rule rule;
  rule.where = option;
  std::string subject = value;
  if (option == "--redirect") {
    const auto equals = value.find('=');
    if (equals == value.npos)
      return Error{
          option + " '" + value + "' does not say where to", {}, "write it as FROM=TO", ExitCode::usage};
    subject = value.substr(0, equals);
    const auto place = Place::parse(value.substr(equals + 1));
    if (!place) return usage(option, place.error());
    rule.to = *place;
  }
  for (const Action action : {Action::allow, Action::deny, Action::reject, Action::redirect})
    if (option == "--" + std::string(to_string(action))) rule.action = action;
  auto match = Match::parse(subject);
  if (!match) return usage(option, match.error());
  rule.match = std::move(*match);
  rules.push_back(std::move(rule));
  return {};
}

Result<void> PolicyOptions::take_fault(const std::string& value, std::vector<Rule>& rules) const {
  auto seed = Faults::usual_seed;
  const char* const end = fault_seed_.data() + fault_seed_.size();
  const auto [stop, error] = std::from_chars(fault_seed_.data(), end, seed);
  if (!fault_seed_.empty() && (stop != end || error != std::errc{}))
    return Error{"--fault-seed '" + fault_seed_ + "' is no number",
                 {},
                 "it is 0 to 18446744073709551615",
                 ExitCode::usage};
  auto rule = parse_fault_rule(value, seed);
  if (!rule) return usage("--fault", rule.error());
  rule->where = "--fault";
  rules.push_back(std::move(*rule));
  return {};
}

Result<std::shared_ptr<const RuleSet>> PolicyOptions::finish(const CLI::App& app) const {
  std::vector<Rule> rules;
  std::map<const CLI::Option*, std::size_t> taken;
  for (const CLI::Option* option : app.parse_order()) {
    const auto name = option->get_name();
    if (name != "--allow" && name != "--deny" && name != "--reject" && name != "--redirect" &&
        name != "--fault")
      continue;
    if (auto done = take(name, option->results().at(taken[option]++), rules); !done) return done.error();
  }
  if (rules.empty() && default_.empty()) return std::shared_ptr<const RuleSet>();
  Action otherwise = usual_default(rules);
  if (!default_.empty()) {
    const auto said = parse_default(default_);
    if (!said) return said.error();
    otherwise = *said;
  }
  return std::make_shared<const RuleSet>(std::move(rules), otherwise);
}

}  // namespace nsrun
