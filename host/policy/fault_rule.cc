#include "host/policy/fault_rule.h"

namespace nsrun {
namespace {

FaultTarget target_of(const Match& match) {
  if (match.content == Match::Content::dns) return FaultTarget::name;
  if (!match.protocol) return FaultTarget::any;
  return *match.protocol == Protocol::tcp ? FaultTarget::stream : FaultTarget::datagram;
}

// Queries for names: dns/NAME, dns/*.NAME, dns/*.
Result<Match> parse_query_match(std::string_view text, std::string_view names) {
  auto match = Match::parse(names);
  if (match && !match->protocol && match->host != Match::Host::network && match->ports.is_all()) {
    match->content = Match::Content::dns;
    return match;
  }
  return Error{"'" + std::string(text) + "' matches no query",
               {},
               "write it as dns/NAME, dns/*.NAME or dns/*",
               ExitCode::usage};
}

Result<Match> parse_match(std::string_view text) {
  constexpr std::string_view queries = "dns/";
  if (text.starts_with(queries)) return parse_query_match(text, text.substr(queries.size()));
  return Match::parse(text);
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(' ');
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

}  // namespace

Result<Rule> parse_fault_rule(std::string_view text, std::uint64_t seed) {
  const auto at = text.find('@');
  const auto match = at == text.npos ? std::string_view{} : trimmed(text.substr(at + 1));
  if (at != text.npos && match.empty())
    return Error{"'" + std::string(text) + "' does not say which flows",
                 {},
                 "write it as FAULTS @ MATCH, for instance latency=200ms @ *",
                 ExitCode::usage};
  return parse_fault_rule(text.substr(0, at), match, seed);
}

Result<Rule> parse_fault_rule(std::string_view faults, std::string_view match, std::uint64_t seed) {
  auto spec = parse_faults(faults);
  if (!spec) return spec.error();
  Rule rule{.action = Action::fault, .match = {}};
  auto target = FaultTarget::packets;
  if (!match.empty()) {
    auto parsed = parse_match(match);
    if (!parsed) return parsed.error();
    rule.match = std::move(*parsed);
    target = target_of(rule.match);
  }
  if (auto checked = check_faults(*spec, target); !checked) return checked.error();
  rule.faults = std::make_shared<Faults>(std::move(*spec), rule.match.to_string(), seed);
  return rule;
}

}  // namespace nsrun
