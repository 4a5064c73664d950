#include "host/policy/make_rule.h"

#include "host/outside/dial_url.h"

namespace nsrun {
namespace {

// Questions about names are answered or not; nothing else can become of them.
Result<Match> parse_match(Action action, std::string_view text) {
  auto match = Match::parse(text);
  const bool of_queries = action == Action::allow || action == Action::deny || action == Action::reject;
  if (match && match->is_of_queries() && !of_queries)
    return Error{"'" + std::string(text) + "' is about questions, and " + std::string(to_string(action)) +
                     " is about flows",
                 {},
                 "dns/ goes with allow, deny and reject",
                 ExitCode::usage};
  return match;
}

}  // namespace

Result<Rule> make_rule(Action action, std::string_view text) {
  auto match = parse_match(action, text);
  if (!match) return match.error();
  return Rule{.action = action, .match = std::move(*match)};
}

Result<Rule> make_redirect(std::string_view from, std::string_view to) {
  auto match = parse_match(Action::redirect, from);
  if (!match) return match.error();
  auto place = Place::parse(to);
  if (!place) return place.error();
  return Rule{.action = Action::redirect, .match = std::move(*match), .to = std::move(*place)};
}

Result<Rule> make_via(std::string_view url, std::string_view text) {
  asio::io_context scratch;
  if (auto dialer = dialer_from_url(url, scratch.get_executor()); !dialer) {
    auto error = dialer.error();
    error.exit = ExitCode::usage;
    return error;
  }
  auto match = parse_match(Action::via, text);
  if (!match) return match.error();
  return Rule{.action = Action::via, .match = std::move(*match), .via = std::string(url)};
}

Result<Action> parse_default(std::string_view text) {
  for (const Action action : {Action::allow, Action::deny, Action::reject, Action::ask})
    if (text == to_string(action)) return action;
  return Error{"'" + std::string(text) + "' is not a valid default",
               {},
               "it is allow, deny, reject or ask",
               ExitCode::usage};
}

}  // namespace nsrun
