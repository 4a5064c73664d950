#include "host/policy/fault_rule.h"

#include "host/text/words.h"

namespace nsrun {
namespace {

FaultTarget target_of(const Match& match) {
  if (match.is_of_queries()) return FaultTarget::name;
  if (!match.protocol) return FaultTarget::any;
  return *match.protocol == Protocol::tcp ? FaultTarget::stream : FaultTarget::datagram;
}

}  // namespace

Result<Rule> parse_fault_rule(std::string_view text) {
  const auto at = text.find('@');
  const auto match = at == text.npos ? std::string_view{} : trimmed(text.substr(at + 1));
  if (at != text.npos && match.empty())
    return Error{"'" + std::string(text) + "' does not say which flows",
                 {},
                 "write it as FAULTS @ MATCH, for instance latency=200ms @ *",
                 ExitCode::usage};
  return parse_fault_rule(text.substr(0, at), match);
}

Result<Rule> parse_fault_rule(std::string_view faults, std::string_view match) {
  auto spec = parse_faults(faults);
  if (!spec) return spec.error();
  Rule rule{.action = Action::fault, .match = {}};
  auto target = FaultTarget::packets;
  if (!match.empty()) {
    auto parsed = Match::parse(match);
    if (!parsed) return parsed.error();
    rule.match = std::move(*parsed);
    target = target_of(rule.match);
  }
  if (auto checked = check_faults(*spec, target); !checked) return checked.error();
  rule.faults = std::make_shared<Faults>(std::move(*spec), rule.match.to_string());
  return rule;
}

}  // namespace nsrun
