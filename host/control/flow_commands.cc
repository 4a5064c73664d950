#include "host/control/flow_commands.h"

#include <unistd.h>

#include "host/control/flow_requests.h"

namespace nsrun {
namespace {

namespace json = boost::json;

json::object in_words(const Counters::Datagram& counters) {
  return {{"flows", std::uint64_t{counters.flows}},
          {"bytes_up", std::uint64_t{counters.bytes_up}},
          {"bytes_down", std::uint64_t{counters.bytes_down}},
          {"packets_up", std::uint64_t{counters.packets_up}},
          {"packets_down", std::uint64_t{counters.packets_down}}};
}

Task<> count(LiveFlows& flows, std::size_t& live) {
  LiveFlows::Walk walk(flows);
  while (const FlowRecord* flow = walk.next()) live += flow->end == FlowEnd::open;
  co_return;
}

}  // namespace

void FlowCommands::add_to(ControlCommands& commands) {
  commands.add("flows", [this](Request request) { return flows(std::move(request)); });
  commands.add("flows.cut", [this](Request request) { return cut(std::move(request)); });
  commands.add("stats", [this](Request request) { return stats(std::move(request)); });
}

Task<FlowCommands::Answer> FlowCommands::flows(Request request) {
  const auto after = number_field(request, "after", 0);
  if (!after) co_return after.error();
  auto found = co_await list_flows(loops_, *after);
  co_return json::value(std::move(found));
}

Task<FlowCommands::Answer> FlowCommands::cut(Request request) {
  const auto number = number_field(request, "flow", 0);
  if (!number) co_return number.error();
  const bool done = co_await cut_flow(loops_, *number);
  if (!done) co_return Error{"no flow has the number " + std::to_string(*number) + ", or it has ended"};
  co_return json::value(json::object{{"flow", *number}});
}

Task<FlowCommands::Answer> FlowCommands::stats(Request) {
  const Counters total = counters_();
  std::size_t live = 0;
  for (const auto& loop : loops_) co_await run_on(loop.context, count(loop.flows, live));
  json::object tcp{{"flows", std::uint64_t{total.tcp.connections}},
                   {"bytes_up", std::uint64_t{total.tcp.bytes_up}},
                   {"bytes_down", std::uint64_t{total.tcp.bytes_down}}};
  const auto up = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - began_).count();
  json::object stats{{"pid", ::getpid()},           {"uptime_s", up},        {"workers", loops_.size()},
                     {"live_flows", live},          {"tcp", std::move(tcp)}, {"udp", in_words(total.udp)},
                     {"icmp", in_words(total.icmp)}};
  if (more_) more_(stats);
  co_return json::value(std::move(stats));
}

}  // namespace nsrun
