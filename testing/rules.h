#pragma once

#include <string>
#include <vector>

#include "host/policy/rule.h"

namespace nsrun::testing {

// Rules as a test writes them: "allow api.example.com:443", "deny *", "redirect a.example=127.0.0.1:80",
// "default reject"; with the meaning and the defaults of the command's options.
struct Rules {
  std::vector<Rule> rules;
  Action otherwise = Action::allow;
};

// An error says which text, and what was expected.
Result<Rules> parse_rules(const std::vector<std::string>& texts);

}  // namespace nsrun::testing
