#include "testing/rules.h"

#include <algorithm>
#include <array>
#include <optional>

#include "host/policy/make_rule.h"

namespace nsrun::testing {
namespace {

constexpr std::array actions = {Action::allow, Action::deny, Action::reject, Action::redirect};

Error wrong(const std::string& text, const std::string& why) {
  return {"rule '" + text + "' " + why,
          {},
          "write it as allow|deny|reject MATCH, redirect MATCH=PLACE, or default ACTION"};
}

std::optional<Action> action_of(std::string_view word) {
  for (const Action action : actions)
    if (word == to_string(action)) return action;
  return std::nullopt;
}

Result<Rule> parse_rule(const std::string& text, Action action, std::string_view rest) {
  if (action != Action::redirect) return make_rule(action, rest);
  const auto equals = rest.find('=');
  if (equals == rest.npos) return wrong(text, "does not say where to");
  return make_redirect(rest.substr(0, equals), rest.substr(equals + 1));
}

}  // namespace

Result<Rules> parse_rules(const std::vector<std::string>& texts) {
  Rules parsed;
  std::optional<Action> otherwise;
  for (const auto& text : texts) {
    const auto space = text.find(' ');
    const auto word = text.substr(0, space);
    if (space == text.npos) return wrong(text, "is not a rule");
    const auto rest = text.substr(text.find_first_not_of(' ', space));
    if (word == "default") {
      const auto said = parse_default(rest);
      if (!said || *said == Action::ask) return wrong(text, "is not a valid default");
      otherwise = *said;
      continue;
    }
    const auto action = action_of(word);
    if (!action) return wrong(text, "does nothing that is known");
    auto rule = parse_rule(text, *action, rest);
    if (!rule) return rule.error();
    rule->where = "the test";
    parsed.rules.push_back(std::move(*rule));
  }
  // As on the command line: a list of what is allowed allows nothing else.
  const bool lists = std::any_of(parsed.rules.begin(), parsed.rules.end(),
                                 [](const Rule& rule) { return rule.action == Action::allow; });
  parsed.otherwise = otherwise.value_or(lists ? Action::reject : Action::allow);
  return parsed;
}

}  // namespace nsrun::testing
