#include "host/control/sandbox_commands.h"

#include <unistd.h>

#include <boost/json/array.hpp>

#include "host/control/flow_requests.h"

namespace nsrun {
namespace {

namespace json = boost::json;

constexpr std::size_t most_rules_told = 1000;  // of a policy, in one answer

json::object in_words(const PublishedPort& port) {
  return {{"protocol", to_string(port.protocol)},
          {"address", port.listen.address == IpAddress{} ? "*" : port.listen.address.to_string()},
          {"host_port", port.listen.port},
          {"guest_port", port.guest_port}};
}

json::object in_words(const Counters::Datagram& counters) {
  return {{"flows", std::uint64_t{counters.flows}},
          {"bytes_up", std::uint64_t{counters.bytes_up}},
          {"bytes_down", std::uint64_t{counters.bytes_down}},
          {"packets_up", std::uint64_t{counters.packets_up}},
          {"packets_down", std::uint64_t{counters.packets_down}}};
}

Result<std::vector<PublishedPort>> ports_of(const json::object& request) {
  const auto text = text_field(request, "port");
  if (!text) return text.error();
  return parse_publish(*text);
}

Task<> count(LiveFlows& flows, std::size_t& live) {
  LiveFlows::Walk walk(flows);
  while (const FlowRecord* flow = walk.next()) live += flow->end == FlowEnd::open;
  co_return;
}

}  // namespace

ControlCommands SandboxCommands::commands() {
  ControlCommands commands;
  const auto add = [&](const char* name, Task<Answer> (SandboxCommands::*command)(Request)) {
    commands.add(name, [this, command](Request request) { return (this->*command)(std::move(request)); });
  };
  add("flows", &SandboxCommands::flows);
  add("flows.cut", &SandboxCommands::cut);
  add("stats", &SandboxCommands::stats);
  add("publish.add", &SandboxCommands::publish_add);
  add("publish.remove", &SandboxCommands::publish_remove);
  add("publish.list", &SandboxCommands::publish_list);
  add("policy.get", &SandboxCommands::policy_get);
  add("policy.reload", &SandboxCommands::policy_reload);
  add("capture.start", &SandboxCommands::capture_start);
  add("capture.stop", &SandboxCommands::capture_stop);
  faults_.add_to(commands);
  return commands;
}

Task<SandboxCommands::Answer> SandboxCommands::flows(Request request) {
  const auto after = number_field(request, "after", 0);
  if (!after) co_return after.error();
  auto found = co_await list_flows(parts_.loops, *after);
  co_return json::value(std::move(found));
}

Task<SandboxCommands::Answer> SandboxCommands::cut(Request request) {
  const auto number = number_field(request, "flow", 0);
  if (!number) co_return number.error();
  const bool done = co_await cut_flow(parts_.loops, *number);
  if (!done) co_return Error{"no flow has the number " + std::to_string(*number) + ", or it has ended"};
  co_return json::value(json::object{{"flow", *number}});
}

Task<SandboxCommands::Answer> SandboxCommands::stats(Request) {
  const Counters total = parts_.counters();
  std::size_t live = 0;
  for (const auto& loop : parts_.loops) co_await run_on(loop.context, count(loop.flows, live));
  json::object tcp{{"flows", std::uint64_t{total.tcp.connections}},
                   {"bytes_up", std::uint64_t{total.tcp.bytes_up}},
                   {"bytes_down", std::uint64_t{total.tcp.bytes_down}}};
  const auto up = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - began_).count();
  co_return json::value(json::object{{"pid", ::getpid()},
                                     {"uptime_s", up},
                                     {"workers", parts_.loops.size()},
                                     {"live_flows", live},
                                     {"tcp", std::move(tcp)},
                                     {"udp", in_words(total.udp)},
                                     {"icmp", in_words(total.icmp)},
                                     {"capturing", parts_.sandbox.capture.is_running()}});
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
    if (told.size() == most_rules_told) break;
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
