#pragma once

#include <string_view>

#include "host/policy/rule.h"

// Rules of the words that options and policy files have for them. An error says what was expected, and has
// ExitCode::usage.

namespace nsrun {

// allow, deny, reject, ask or log.
Result<Rule> make_rule(Action action, std::string_view match);
Result<Rule> make_redirect(std::string_view from, std::string_view to);
// `url` names a dialer that can be made. An error does not repeat its password.
Result<Rule> make_via(std::string_view url, std::string_view match);

// An action for what no rule decides: allow, deny, reject or ask.
Result<Action> parse_default(std::string_view text);

}  // namespace nsrun
