#include "cmd/ctl/ctl_requests.h"

#include <array>
#include <filesystem>

namespace nsrun {
namespace {

using boost::json::object;

constexpr const char* no_value = nullptr;

// A command of one or two words, and perhaps a value, which becomes the field of this name.
struct Form {
  const char* first;
  const char* second;  // null: the command is one word
  const char* request;
  const char* field;  // null: there is no value
  const char* value;  // as the help calls it
  const char* what;
};

constexpr std::array forms = {
    Form{"flows", nullptr, "flows", no_value, "", "the flows that live, and those waiting for an answer"},
    Form{"cut", nullptr, "flows.cut", "flow", "FLOW", "ends the flow of that number at once"},
    Form{"stats", nullptr, "stats", no_value, "", "totals since the start"},
    Form{"publish", "list", "publish.list", no_value, "", "the published ports"},
    Form{"publish", "add", "publish.add", "port", "[[ADDR:]PORT:]PORT[/udp]", "publishes, as -p does"},
    Form{"publish", "remove", "publish.remove", "port", "[[ADDR:]PORT:]PORT[/udp]", "no longer publishes"},
    Form{"policy", "get", "policy.get", no_value, "", "the rules in force"},
    Form{"policy", "reload", "policy.reload", no_value, "",
         "reads the policy files again; cuts what they refuse"},
    Form{"fault", "list", "fault.list", no_value, "", "the faults in force"},
    Form{"fault", "add", "fault.add", "fault", "'FAULTS @ MATCH'",
         "adds one, as --fault does, or changes it"},
    Form{"fault", "remove", "fault.remove", "match", "MATCH", "takes one away"},
    Form{"capture", "start", "capture.start", "file", "FILE", "writes all packets from now on, as pcapng"},
    Form{"capture", "stop", "capture.stop", no_value, "", "ends that"},
};

Error ctl_usage(std::string what) {
  return {std::move(what), {}, "nsrun ctl --help lists the commands", ExitCode::usage};
}

std::string in_words(const Form& form) {
  std::string words = form.first;
  if (form.second) words += std::string(" ") + form.second;
  if (form.field) words += std::string(" ") + form.value;
  return words;
}

bool fits(const Form& form, const std::vector<std::string>& words) {
  return !words.empty() && words[0] == form.first &&
         (!form.second || (words.size() > 1 && words[1] == form.second));
}

}  // namespace

Result<object> ctl_request(const std::vector<std::string>& words) {
  if (words.empty()) return ctl_usage("there is no command");
  for (const auto& form : forms) {
    if (!fits(form, words)) continue;
    const std::size_t named = form.second ? 2 : 1;
    if (words.size() != named + (form.field ? 1 : 0)) return ctl_usage("write it as: " + in_words(form));
    object request{{"request", form.request}};
    if (!form.field) return request;
    const std::string& value = words.back();
    const std::string field = form.field;
    if (field == "flow") {
      if (value.empty() || value.size() > 18 || value.find_first_not_of("0123456789") != value.npos)
        return ctl_usage("'" + value + "' is not the number of a flow");
      request[field] = std::stoull(value);
    } else {
      // The one who writes the file may be in another directory.
      request[field] = field == "file" ? std::filesystem::absolute(value).string() : value;
    }
    return request;
  }
  return ctl_usage("there is no command '" + words[0] + (words.size() > 1 ? " " + words[1] : "") + "'");
}

std::vector<CtlCommand> ctl_commands() {
  std::vector<CtlCommand> commands;
  for (const auto& form : forms) commands.push_back({form.first, form.second ? form.second : "", form.what});
  return commands;
}

std::string ctl_commands_help() {
  constexpr std::size_t column = 42;
  std::string text;
  for (const auto& form : forms) {
    std::string line = "  " + in_words(form);
    line.append(line.size() < column ? column - line.size() : 1, ' ');
    text += line + form.what + "\n";
  }
  return text;
}

}  // namespace nsrun
