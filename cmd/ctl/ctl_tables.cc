#include "cmd/ctl/ctl_tables.h"

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "host/log/summary.h"
#include "runtime/printable.h"

namespace nsrun {
namespace {

namespace json = boost::json;
using Side = TextTable::Side;

std::string joined_lines(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text.append(line).append("\n");
  return text;
}

std::string bytes(const json::object& flow, std::string_view name) { return in_short(number(flow, name)); }

std::string flows_in_words(const json::array& flows) {
  TextTable table({Side::right, Side::left, Side::left, Side::left, Side::left, Side::right, Side::right,
                   Side::right, Side::left});
  table.add({"FLOW", "PROTO", "GUEST", "PEER", "NAME", "UP", "DOWN", "SECONDS", "RULE"});
  for (const auto& value : flows) {
    const auto& flow = value.as_object();
    const bool pending = cell(flow, "verdict") == "pending";
    table.add({cell(flow, "flow"), cell(flow, "protocol"), cell(flow, "guest"), cell(flow, "peer"),
               cell(flow, "name"), bytes(flow, "bytes_up"), bytes(flow, "bytes_down"),
               std::to_string(number(flow, "duration_ms") / 1000),
               pending ? "(pending)" : cell(flow, "rule")});
  }
  return joined_lines(table.lines());
}

std::string ports_in_words(const json::array& ports) {
  TextTable table({Side::left, Side::left, Side::right, Side::right});
  table.add({"PROTO", "ADDRESS", "PORT", "INSIDE"});
  for (const auto& value : ports) {
    const auto& port = value.as_object();
    table.add(
        {cell(port, "protocol"), cell(port, "address"), cell(port, "host_port"), cell(port, "guest_port")});
  }
  return joined_lines(table.lines());
}

std::string faults_in_words(const json::array& faults) {
  TextTable table({Side::left, Side::left, Side::left});
  table.add({"FAULT", "MATCH", "SAID BY"});
  for (const auto& value : faults) {
    const auto& fault = value.as_object();
    table.add({cell(fault, "fault"), cell(fault, "match"), cell(fault, "where")});
  }
  return joined_lines(table.lines());
}

std::string policy_in_words(const json::object& policy) {
  TextTable table({Side::left, Side::left});
  table.add({"RULE", "SAID BY"});
  const auto& rules = policy.at("rules").as_array();
  for (const auto& rule : rules) table.add({cell(rule.as_object(), "rule"), cell(rule.as_object(), "where")});
  const auto rest = number(policy, "count") - rules.size();
  if (rest > 0) table.add({"and " + std::to_string(rest) + " more", ""});
  table.add({"default " + cell(policy, "default"), ""});
  return joined_lines(table.lines());
}

void fields_in_words(const json::object& object, const std::string& prefix, std::string& text) {
  for (const auto& [name, value] : object) {
    if (value.is_object())
      fields_in_words(value.as_object(), prefix + std::string(name) + " ", text);
    else
      text.append(prefix).append(name).append(": ").append(cell(object, name)).append("\n");
  }
}

}  // namespace

std::vector<std::string> TextTable::lines() const {
  std::vector<std::size_t> widths(sides_.size());
  for (const auto& row : rows_)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  std::vector<std::string> lines;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string gap(widths[i] - row[i].size(), ' ');
      line += (i ? "  " : "") + (sides_[i] == Side::left ? row[i] + gap : gap + row[i]);
    }
    lines.push_back(line.substr(0, line.find_last_not_of(' ') + 1));
  }
  return lines;
}

std::string in_words(const json::value& result) {
  const auto* object = result.if_object();
  if (!object) return json::serialize(result) + "\n";
  if (const auto* flows = object->if_contains("flows"); flows && flows->is_array())
    return flows_in_words(flows->as_array());
  if (const auto* ports = object->if_contains("ports"); ports && ports->is_array())
    return ports_in_words(ports->as_array());
  if (const auto* faults = object->if_contains("faults"); faults && faults->is_array())
    return faults_in_words(faults->as_array());
  if (const auto* rules = object->if_contains("rules"); rules && rules->is_array())
    return policy_in_words(*object);
  std::string text;
  fields_in_words(*object, "", text);
  return text;
}

std::string cell(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  if (!value || value->is_null()) return {};
  return printable(value->is_string() ? std::string_view(value->as_string()) : json::serialize(*value));
}

std::uint64_t number(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  boost::system::error_code wrong;
  const auto read = value ? value->to_number<std::uint64_t>(wrong) : 0;
  return wrong ? 0 : read;
}

}  // namespace nsrun
