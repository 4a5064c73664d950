#include "host/sandbox/fault_commands.h"

#include <boost/json/array.hpp>

#include "host/faults/faults.h"
#include "host/policy/fault_rule.h"

namespace nsrun {
namespace {

namespace json = boost::json;

constexpr const char* all_packets = "packets";  // what a fault of packets matches

std::string match_of(const Rule& rule) {
  return rule.faults->packets() ? all_packets : rule.match.to_string();
}

bool is_fault(const Rule& rule) { return rule.action == Action::fault && rule.faults; }

// The first counts, as for flows. Null: none has this match.
const Rule* find(const std::vector<Rule>& rules, const std::string& match) {
  for (const Rule& rule : rules)
    if (is_fault(rule) && match_of(rule) == match) return &rule;
  return nullptr;
}

}  // namespace

void FaultCommands::add_to(ControlCommands& commands) {
  const auto add = [&](const char* name, Task<Answer> (FaultCommands::*command)(Request)) {
    commands.add(name, [this, command](Request request) { return (this->*command)(std::move(request)); });
  };
  add("fault.add", &FaultCommands::add);
  add("fault.remove", &FaultCommands::remove);
  add("fault.list", &FaultCommands::list);
}

Task<FaultCommands::Answer> FaultCommands::add(Request request) {
  const auto text = text_field(request, "fault");
  if (!text) co_return text.error();
  auto rule = parse_fault_rule(*text);
  if (!rule) co_return rule.error();
  const auto rules = sandbox_.policy.rules();
  if (const Rule* known = find(rules->rules(), match_of(*rule))) {
    known->faults->replace(*rule->faults->spec());
    co_return list_now();
  }
  if (rule->faults->packets())
    co_return Error{"packets were given no faults at the start, and get none later",
                    {},
                    "start nsrun with some (--fault packets:loss=1%), and change those"};
  rule->where = "control";
  const auto done = co_await reload_.change_added([&](std::vector<Rule>& added) {
    added.push_back(*rule);
    return true;
  });
  if (!done) co_return done.error();
  co_return list_now();
}

// Flows that live are freed of it, whoever gave it; where that was a file, the next reload brings it back.
Task<FaultCommands::Answer> FaultCommands::remove(Request request) {
  const auto text = text_field(request, "match");
  if (!text) co_return text.error();
  const auto match = Match::parse(*text);
  if (!match && *text != all_packets) co_return match.error();
  const std::string wanted = *text == all_packets ? *text : match->to_string();
  const auto rules = sandbox_.policy.rules();
  const Rule* known = find(rules->rules(), wanted);
  if (!known || known->faults->spec()->text.empty())
    co_return Error{"no fault has the match '" + wanted + "'", {}, "\"fault.list\" tells which there are"};
  known->faults->replace({});
  const auto done = co_await reload_.change_added([&](std::vector<Rule>& added) {
    return std::erase_if(added, [&](const Rule& rule) { return match_of(rule) == wanted; }) > 0;
  });
  if (!done) co_return done.error();
  co_return list_now();
}

Task<FaultCommands::Answer> FaultCommands::list(Request) { co_return list_now(); }

json::value FaultCommands::list_now() const {
  json::array faults;
  const auto rules = sandbox_.policy.rules();
  for (const Rule& rule : rules->rules()) {
    if (!is_fault(rule)) continue;
    const auto spec = rule.faults->spec();
    if (!spec->text.empty())
      faults.push_back(json::object{{"fault", spec->text}, {"match", match_of(rule)}, {"where", rule.where}});
  }
  return json::object{{"faults", std::move(faults)}};
}

}  // namespace nsrun
