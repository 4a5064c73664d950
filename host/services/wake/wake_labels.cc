#include "host/services/wake/wake_labels.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace nsrun {
namespace {

constexpr std::string_view label_prefix = "lazytainer.group.", own_label_prefix = "nsrun.group.";
constexpr auto default_time = 30s;
constexpr std::uint64_t default_packets = 30;
constexpr auto known =
    "the properties are ports, inactiveTimeout, minPacketThreshold, sleepMethod, ignoreActiveClients, "
    "pollRate "
    "and netInterface";

Error wrong_label(const std::string& what, std::string advice) {
  return {what, {}, std::move(advice), ExitCode::usage};
}

template <class Number>
std::optional<Number> number_in(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<void> take_ports(LabelledGroup& group, std::string_view text) {
  for (;;) {
    const auto comma = text.find(',');
    const auto port = number_in<std::uint16_t>(text.substr(0, comma));
    if (!port || *port == 0) return wrong_label("it is not a list of ports", "for instance 81,82");
    if (std::ranges::find(group.ports, *port) == group.ports.end()) group.ports.push_back(*port);
    if (comma == text.npos) return {};
    text.remove_prefix(comma + 1);
  }
}

Result<void> take_timeout(LabelledGroup& group, std::string_view text) {
  const auto seconds = number_in<std::uint16_t>(text);
  if (!seconds || *seconds == 0) return wrong_label("it is not a number of seconds", "1 to 65535");
  group.spec.options.idle = std::chrono::seconds(*seconds);
  return {};
}

Result<void> take_packets(LabelledGroup& group, std::string_view text) {
  const auto packets = number_in<std::uint16_t>(text);
  if (!packets) return wrong_label("it is not a number of packets", "0 to 65535");
  group.spec.options.least = group.spec.options.wake_least = std::max<std::uint64_t>(*packets, 1);
  return {};
}

Result<void> take_sleep(LabelledGroup& group, std::string_view text) {
  if (text != "stop" && text != "pause")
    return wrong_label("it is neither stop nor pause", "the default is stop");
  group.spec.pauses = text == "pause";
  return {};
}

// As Go's ParseBool.
Result<void> take_ignore(LabelledGroup& group, std::string_view text) {
  constexpr std::array<std::string_view, 6> yes = {"1", "t", "T", "true", "TRUE", "True"};
  constexpr std::array<std::string_view, 6> no = {"0", "f", "F", "false", "FALSE", "False"};
  const bool ignores = std::ranges::find(yes, text) != yes.end();
  if (!ignores && std::ranges::find(no, text) == no.end())
    return wrong_label("it is neither true nor false", {});
  group.spec.options.by_connections = !ignores;
  return {};
}

Result<void> take_nothing(LabelledGroup&, std::string_view) { return {}; }

struct Property {
  std::string_view name;
  Result<void> (*take)(LabelledGroup& group, std::string_view text);
};

constexpr std::array properties = {Property{"ports", take_ports},
                                   Property{"inactiveTimeout", take_timeout},
                                   Property{"minPacketThreshold", take_packets},
                                   Property{"sleepMethod", take_sleep},
                                   Property{"ignoreActiveClients", take_ignore},
                                   Property{"pollRate", take_nothing},
                                   Property{"netInterface", take_nothing}};

LabelledGroup group_named(const std::string& name, const std::string& docker) {
  LabelledGroup group;
  auto& options = group.spec.options;
  options.name = name;
  options.idle = default_time;
  options.by_connections = true;
  options.by_arrivals = false;
  options.unit = WakeGroupOptions::Unit::packets;
  options.least = options.wake_least = default_packets;
  group.spec.labels = labels_of_group(name);
  group.spec.docker = docker;
  return group;
}

// nsrun listens at the ports itself, so it cannot be in the network of a container that does.
Result<void> check_networks(const LabelledGroup& group, const std::vector<docker::Description>& containers) {
  if (!group.host.empty()) return {};
  for (const auto& container : containers)
    if (container.network_mode.starts_with("container:"))
      return wrong_label("the container " + container.name + " has its network from another container",
                         "give it a network of its own, and nsrun's container a place in that");
  return {};
}

// Where clients of the port are taken to; empty: nowhere.
std::string host_of(std::uint16_t port, const std::vector<LabelledGroup>& groups,
                    const GroupContainers& containers) {
  const auto exposed = std::to_string(port) + "/";
  std::string first;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (std::ranges::find(groups[i].ports, port) == groups[i].ports.end()) continue;
    if (!groups[i].host.empty()) return groups[i].host;
    for (const auto& [name, labels, ports, network] : containers[i]) {
      if (std::ranges::any_of(ports, [&](const auto& each) { return each.starts_with(exposed); }))
        return name;
      if (first.empty()) first = name;
    }
  }
  return first;
}

}  // namespace

Result<std::vector<LabelledGroup>> parse_wake_labels(const std::map<std::string, std::string>& labels,
                                                     const std::string& docker) {
  std::map<std::string, LabelledGroup> groups;
  for (const auto& [label, value] : labels) {
    if (!label.starts_with(label_prefix)) continue;
    const auto dot = label.rfind('.');
    if (dot <= label_prefix.size()) return wrong_label("the label " + label + " names no group", known);
    const auto name = label.substr(label_prefix.size(), dot - label_prefix.size());
    const auto property = std::ranges::find(properties, label.substr(dot + 1), &Property::name);
    if (property == properties.end()) return wrong_label("the label " + label + " is not known", known);
    auto& group = groups.try_emplace(name, group_named(name, docker)).first->second;
    if (auto taken = property->take(group, value); !taken)
      return wrong_label("the label " + label + "=" + value + ": " + taken.error().doing,
                         taken.error().advice);
  }
  std::vector<LabelledGroup> all;
  for (auto& [name, group] : groups) {
    if (group.ports.empty())
      return wrong_label("there is no label " + std::string(label_prefix) + name + ".ports",
                         "it is required");
    const auto host = labels.find(std::string(own_label_prefix) + name + ".host");
    if (host != labels.end()) group.host = host->second;
    all.push_back(std::move(group));
  }
  if (all.empty())
    return wrong_label("the container has no label " + std::string(label_prefix) + "NAME.ports",
                       "write one for each group that wakes");
  return all;
}

Result<std::vector<WakeSpec>> with_forwards(std::vector<LabelledGroup> groups,
                                            const GroupContainers& containers) {
  for (std::size_t i = 0; i < groups.size(); ++i)
    if (auto checked = check_networks(groups[i], containers[i]); !checked) return checked.error();
  std::vector<WakeSpec> specs;
  for (const auto& group : groups) {
    auto spec = group.spec;
    for (const auto port : group.ports) {
      const auto host = host_of(port, groups, containers);
      const auto text = std::to_string(port);
      if (host.empty())
        return wrong_label("port " + text + " of group " + spec.options.name +
                               " leads nowhere: no container has the label " +
                               "lazytainer.group=" + spec.options.name,
                           "create the containers first, or give the label " + std::string(own_label_prefix) +
                               spec.options.name + ".host=HOST");
      for (const std::string scheme : {"tcp://", "udp://"}) {
        auto forward = Forward::parse(scheme + ":" + text + "=" + scheme + host + ":" + text);
        if (!forward) return forward.error();
        spec.forwards.push_back(std::move(*forward));
      }
    }
    specs.push_back(std::move(spec));
  }
  return specs;
}

}  // namespace nsrun
