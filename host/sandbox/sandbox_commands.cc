#include "host/sandbox/sandbox_commands.h"

#include <boost/json/array.hpp>

namespace nsrun {
namespace {

namespace json = boost::json;

constexpr std::size_t max_rules_told = 1000;  // of a policy, in one answer

json::object in_words(const PublishedPort& port) {
  return {{"protocol", to_string(port.protocol)},
          {"address", port.address ? port.address->to_string() : "*"},
          {"host_port", port.host_port},
          {"guest_port", port.guest_port}};
}

Result<std::vector<PublishedPort>> ports_of(const json::object& request) {
  const auto text = text_field(request, "port");
  if (!text) return text.error();
  return parse_publish(*text);
}

}  // namespace

SandboxCommands::SandboxCommands(Parts parts)
    : parts_(std::move(parts)),
      flows_(parts_.loops, parts_.counters,
             [this](json::object& stats) {
               stats["capturing"] = parts_.sandbox.capture.is_running();
               const auto& memory = parts_.sandbox.memory;
               stats["memory"] = {{"used", std::uint64_t{memory.used()}},
                                  {"limit", std::uint64_t{memory.limit()}}};
             }),
      faults_(parts_.sandbox, parts_.reload) {}

ControlCommands SandboxCommands::commands() {
  ControlCommands commands;
  const auto add = [&](const char* name, Task<Answer> (SandboxCommands::*command)(Request)) {
    commands.add(name, [this, command](Request request) { return (this->*command)(std::move(request)); });
  };
  add("publish.add", &SandboxCommands::publish_add);
  add("publish.remove", &SandboxCommands::publish_remove);
  add("publish.list", &SandboxCommands::publish_list);
  add("policy.get", &SandboxCommands::policy_get);
  add("policy.reload", &SandboxCommands::policy_reload);
  add("capture.start", &SandboxCommands::capture_start);
  add("capture.stop", &SandboxCommands::capture_stop);
  flows_.add_to(commands);
  faults_.add_to(commands);
  return commands;
}

// All of a range or none of it.
Task<SandboxCommands::Answer> SandboxCommands::publish_add(Request request) {
  const auto ports = ports_of(request);
  if (!ports) co_return ports.error();
  std::vector<PublishedPort> added;
  std::optional<Error> failed;
  for (const auto& port : *ports) {
    const auto bound = parts_.publisher.add(port);
    if (!bound) {
      failed = bound.error();
      break;
    }
    added.push_back(port);
  }
  if (!failed) co_return publish_list_now();
  for (const auto& port : added) co_await parts_.publisher.remove(port);
  co_return std::move(*failed);
}

Task<SandboxCommands::Answer> SandboxCommands::publish_remove(Request request) {
  const auto ports = ports_of(request);
  if (!ports) co_return ports.error();
  std::size_t removed = 0;
  for (const auto& port : *ports) {
    const bool was_there = co_await parts_.publisher.remove(port);
    removed += was_there;
  }
  if (removed == 0)
    co_return Error{
        "no such port is published", {}, "\"publish.list\" tells which are; write it as it was added"};
  co_return publish_list_now();
}

json::value SandboxCommands::publish_list_now() const {
  json::array ports;
  for (const auto& port : parts_.publisher.list()) ports.push_back(in_words(port));
  return json::object{{"ports", std::move(ports)}};
}

Task<SandboxCommands::Answer> SandboxCommands::publish_list(Request) { co_return publish_list_now(); }

Task<SandboxCommands::Answer> SandboxCommands::policy_get(Request) {
  const auto rules = parts_.sandbox.policy.rules();
  json::array told;
  for (const auto& rule : rules->rules()) {
    if (told.size() == max_rules_told) break;
    told.push_back(json::object{{"rule", rule.to_string()}, {"where", rule.where}});
  }
  co_return json::value(json::object{{"generation", parts_.sandbox.policy.generation()},
                                     {"default", to_string(rules->default_action())},
                                     {"count", rules->rules().size()},
                                     {"rules", std::move(told)}});
}

Task<SandboxCommands::Answer> SandboxCommands::policy_reload(Request) {
  const auto cut = co_await parts_.reload.run(parts_.loops);
  if (!cut) co_return cut.error();
  co_return json::value(
      json::object{{"generation", parts_.sandbox.policy.generation()}, {"flows_cut", *cut}});
}

Task<SandboxCommands::Answer> SandboxCommands::capture_start(Request request) {
  const auto file = text_field(request, "file");
  if (!file) co_return file.error();
  if (auto started = parts_.sandbox.capture.start(*file); !started) co_return started.error();
  co_return json::value(json::object{{"file", *file}});
}

Task<SandboxCommands::Answer> SandboxCommands::capture_stop(Request) {
  if (!parts_.sandbox.capture.stop()) co_return Error{"no capture is being written"};
  co_return json::value(json::object{});
}

}  // namespace nsrun
