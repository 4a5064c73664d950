#include "host/control/control_commands.h"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

namespace nsrun {
namespace {

boost::json::object refusal(std::string why) { return {{"ok", false}, {"error", std::move(why)}}; }

}  // namespace

Task<boost::json::object> ControlCommands::answer(std::string line) {
  boost::system::error_code wrong;
  boost::json::value parsed = boost::json::parse(line, wrong);
  if (wrong || !parsed.is_object())
    co_return refusal("this is not a JSON object on one line (see docs/control.md)");
  boost::json::object request = std::move(parsed.as_object());
  const boost::json::value* id = request.if_contains("id");
  boost::json::value kept_id = id ? *id : boost::json::value{};
  const bool has_id = id != nullptr;
  auto result = co_await run(std::move(request));
  boost::json::object answer;
  if (result)
    answer = {{"ok", true}, {"result", std::move(*result)}};
  else
    answer = refusal(result.error().message());
  if (has_id) answer["id"] = std::move(kept_id);
  co_return answer;
}

Task<ControlCommands::Answer> ControlCommands::run(boost::json::object request) {
  const auto name = text_field(request, "request");
  if (!name) co_return name.error();
  if (*name == "help") {
    boost::json::array names;
    for (const auto& [known, command] : commands_) names.emplace_back(known);
    co_return boost::json::value(std::move(names));
  }
  const auto found = commands_.find(*name);
  if (found == commands_.end())
    co_return Error{"there is no request '" + *name + "'", {}, "\"help\" lists them"};
  co_return co_await found->second(std::move(request));
}

Result<std::string> text_field(const boost::json::object& request, std::string_view name) {
  const auto* value = request.if_contains(name);
  if (!value || !value->is_string())
    return Error{"the request has no \"" + std::string(name) + "\", or it is not a text"};
  return Result<std::string>(boost::system::in_place_value, std::string(value->as_string()));
}

Result<std::uint64_t> number_field(const boost::json::object& request, std::string_view name,
                                   std::uint64_t otherwise) {
  const auto* value = request.if_contains(name);
  if (!value) return otherwise;
  boost::system::error_code wrong;
  const auto number = value->to_number<std::uint64_t>(wrong);
  if (wrong) return Error{"\"" + std::string(name) + "\" is not a whole number"};
  return number;
}

}  // namespace nsrun
