#include "host/services/wake/backends/docker_answers.h"

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

namespace nsrun::docker {
namespace {

namespace json = boost::json;

constexpr std::size_t max_id = 128, max_container_name = 253, max_message = 200;  // bytes
// Of events; the words of Docker, and Podman's own. "health_status: healthy" has more after a colon.
constexpr std::array<std::string_view, 19> changes = {
    "start",   "die",     "stop",          "kill",    "pause",     "unpause", "restart",
    "destroy", "create",  "health_status", "rename",  "update",    "oom",     "died",
    "remove",  "cleanup", "init",          "restore", "checkpoint"};

Error nonsense(const std::string& what) {
  return {"the answer is not a valid " + what + " of the Docker API"};
}

json::value parse(std::string_view text) {
  boost::system::error_code trouble;
  auto value = json::parse({text.data(), text.size()}, trouble);
  return trouble ? json::value() : value;
}

const json::value* member(const json::value* value, std::string_view key) {
  const auto* object = value ? value->if_object() : nullptr;
  return object ? object->if_contains({key.data(), key.size()}) : nullptr;
}

std::string_view text_of(const json::value* value) {
  const auto* text = value ? value->if_string() : nullptr;
  return text ? std::string_view(text->data(), text->size()) : std::string_view{};
}

bool is_true(const json::value* value) {
  const auto* flag = value ? value->if_bool() : nullptr;
  return flag && *flag;
}

bool is_alphanumeric(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= max_id && std::ranges::all_of(text, is_alphanumeric);
}

// As Docker has them; it goes into a URL.
bool is_name(std::string_view text) {
  const auto fits = [](unsigned char c) { return is_alphanumeric(c) || c == '_' || c == '.' || c == '-'; };
  return !text.empty() && text.size() <= max_container_name && std::ranges::all_of(text, fits);
}

}  // namespace

Result<std::vector<std::string>> parse_list(std::string_view body) {
  const auto value = parse(body);
  const auto* list = value.if_array();
  if (!list) return nonsense("list of containers");
  std::vector<std::string> ids;
  for (const auto& each : *list) {
    const auto id = text_of(member(&each, "Id"));
    if (!is_id(id)) return nonsense("list of containers");
    ids.emplace_back(id);
  }
  return ids;
}

Result<Inspection> parse_inspection(std::string_view body, bool uses_health) {
  const auto value = parse(body);
  const auto* state = member(&value, "State");
  if (!state || !state->is_object()) return nonsense("container");
  const auto status = text_of(member(state, "Status"));
  if (is_true(member(state, "Paused")) || status == "paused") return Inspection{Backend::Status::idle, true};
  if (is_true(member(state, "Restarting")) || status == "restarting")
    return Inspection{Backend::Status::starting};
  if (!is_true(member(state, "Running")) && status != "running") return Inspection{};
  // Podman has a health of "" where there is none.
  const auto health = text_of(member(member(state, "Health"), "Status"));
  const bool is_ready = !uses_health || health.empty() || health == "none" || health == "healthy";
  return Inspection{is_ready ? Backend::Status::running : Backend::Status::starting};
}

Result<Description> parse_description(std::string_view body) {
  const auto value = parse(body);
  const auto* config = member(&value, "Config");
  auto name = text_of(member(&value, "Name"));
  if (name.starts_with('/')) name.remove_prefix(1);
  if (!config || !is_name(name)) return nonsense("container");
  Description described{
      .name = std::string(name),
      .network_mode = std::string(text_of(member(member(&value, "HostConfig"), "NetworkMode")))};
  const auto* labels = member(config, "Labels");
  if (labels && labels->is_object())
    for (const auto& each : labels->get_object())
      described.labels.emplace(std::string(each.key().data(), each.key().size()), text_of(&each.value()));
  const auto* exposed = member(config, "ExposedPorts");
  if (exposed && exposed->is_object())
    for (const auto& each : exposed->get_object())
      described.exposed.emplace_back(each.key().data(), each.key().size());
  return described;
}

bool concerns(std::string_view event, const std::vector<std::string>& labels) {
  const auto value = parse(event);
  const auto action = text_of(member(&value, "Action"));
  const auto word = action.substr(0, action.find(':'));
  if (!word.empty() && std::ranges::find(changes, word) == changes.end()) return false;
  const auto* attributes = member(member(&value, "Actor"), "Attributes");
  if (!attributes) return true;
  return std::ranges::any_of(labels, [&](const std::string& label) {
    const auto equals = label.find('=');
    const auto* found = member(attributes, label.substr(0, equals));
    return found && equals != label.npos && text_of(found) == label.substr(equals + 1);
  });
}

std::string parse_message(std::string_view body) {
  const auto value = parse(body);
  std::string message(text_of(member(&value, "message")));
  message.resize(std::min(message.size(), max_message));
  std::erase_if(message, [](unsigned char c) { return c < ' ' || c == 0x7f; });
  return message;
}

}  // namespace nsrun::docker
