#include "testing/flows.h"

#include <algorithm>
#include <numeric>

namespace nsrun::testing {
namespace {

template <class Fits>
Flows those(const std::vector<Flow>& flows, Fits fits) {
  std::vector<Flow> found;
  std::copy_if(flows.begin(), flows.end(), std::back_inserter(found), fits);
  return Flows(std::move(found));
}

std::uint64_t sum(const std::vector<Flow>& flows, std::uint64_t Flow::*bytes) {
  return std::accumulate(flows.begin(), flows.end(), std::uint64_t{0},
                         [bytes](std::uint64_t so_far, const Flow& flow) { return so_far + flow.*bytes; });
}

}  // namespace

Subject subject_of(const Flow& flow) {
  if (!flow.name.empty()) return {flow.protocol, flow.name, std::nullopt, flow.target.port};
  return {flow.protocol, {}, flow.target.address, flow.target.port};
}

Flow flow_of(const FlowRecord& record) {
  const auto lasted = std::chrono::steady_clock::now() - record.began_steady;
  return {.protocol = record.key.protocol,
          .name = record.name,
          .target = record.key.target,
          .allowed = record.allowed,
          .rule = record.rule,
          .dialled = record.dialled(),
          .error = record.why,
          .end = record.end,
          .bytes_up = record.bytes_up,
          .bytes_down = record.bytes_down,
          .lasted = std::chrono::duration_cast<std::chrono::milliseconds>(lasted)};
}

std::string Flow::to_string() const {
  std::string text(nsrun::to_string(protocol));
  text += "/" + (name.empty() ? target.to_string() : name + ":" + std::to_string(target.port));
  text += " " + std::string(nsrun::to_string(end));
  text += ", " + std::to_string(bytes_up) + " up, " + std::to_string(bytes_down) + " down";
  if (!declared) text += ", undeclared";
  text += " (rule " + rule + ")";
  if (!error.empty()) text += ": " + error;
  return text;
}

Flows Flows::to(std::string_view match) const {
  RuleIndex index;
  index.add(0, Match::parse(match).value());
  return those(flows_, [&](const Flow& flow) { return index.first(subject_of(flow)).has_value(); });
}

Flows Flows::connected() const {
  return those(flows_, [](const Flow& flow) { return flow.connected(); });
}
Flows Flows::refused() const {
  return those(flows_, [](const Flow& flow) { return !flow.connected(); });
}
Flows Flows::undeclared() const {
  return those(flows_, [](const Flow& flow) { return !flow.declared; });
}

std::uint64_t Flows::bytes_up() const { return sum(flows_, &Flow::bytes_up); }
std::uint64_t Flows::bytes_down() const { return sum(flows_, &Flow::bytes_down); }

std::set<std::string> Flows::hosts() const {
  std::set<std::string> hosts;
  for (const auto& flow : flows_)
    hosts.insert(flow.name.empty() ? flow.target.address.to_string() : flow.name);
  return hosts;
}

std::string Flows::to_string() const {
  std::string text;
  for (const auto& flow : flows_) text += flow.to_string() + "\n";
  return text;
}

}  // namespace nsrun::testing
