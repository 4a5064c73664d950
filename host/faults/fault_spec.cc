#include "host/faults/fault_spec.h"

#include <algorithm>
#include <span>

#include "host/text/units.h"
#include "host/text/words.h"

namespace nsrun {
namespace {

constexpr auto a_time = "a time with its unit: 200ms, 1.5s, 100us";
constexpr auto a_rate = "bits a second: 64kbit, 1.5mbit, 1gbit";
constexpr auto a_size = "bytes with their unit, or a range of them: 100B, 64B-4kB";
constexpr auto a_share = "a share: 10%, 0.5%";
constexpr auto a_point = "bytes or a time, with their unit: 10kB, 5s";
constexpr auto a_stall = "when, and how long it lasts where it ends: 10kB, 5s, 10kB/2s";
constexpr auto an_address = "an address: 192.0.2.1, 2001:db8::1";

template <class Into, class Value>
bool put(Into& into, std::optional<Value> value) {
  if (!value) return false;
  into = *value;
  return true;
}

// Half of a round trip's, where it was said for both ways at once.
bool put_time(std::chrono::nanoseconds& into, std::string_view text, int ways) {
  const auto time = parse_time(text);
  if (!time) return false;
  into = *time / ways;
  return true;
}

std::optional<FaultPoint> parse_point(std::string_view text) {
  if (const auto time = parse_time(text)) return FaultPoint{{}, *time};
  if (const auto bytes = parse_size(text)) return FaultPoint{*bytes, {}};
  return std::nullopt;
}

std::optional<Stall> parse_stall(std::string_view text) {
  const auto slash = text.find('/');
  const auto after = parse_point(text.substr(0, slash));
  if (!after) return std::nullopt;
  if (slash == text.npos) return Stall{*after, {}};
  const auto lasting = parse_time(text.substr(slash + 1));
  if (!lasting) return std::nullopt;
  return Stall{*after, *lasting};
}

bool put_slice(WayFaults& way, std::string_view text) {
  const auto dash = text.find('-');
  const auto least = parse_size(text.substr(0, dash));
  const auto most = dash == text.npos ? least : parse_size(text.substr(dash + 1));
  if (!least || !most || *least == 0 || *least > *most) return false;
  way.slice_least = *least;
  way.slice_most = *most;
  return true;
}

struct WayKey {
  std::string_view name;
  const char* expected;
  bool (*set)(WayFaults& way, std::string_view value, int ways);  // `ways`: said for so many at once
};

// clang-format off
constexpr WayKey way_keys[] = {
    {"latency", a_time, [](WayFaults& w, std::string_view v, int ways) { return put_time(w.latency, v, ways); }},
    {"jitter", a_time, [](WayFaults& w, std::string_view v, int ways) { return put_time(w.jitter, v, ways); }},
    {"bandwidth", a_rate, [](WayFaults& w, std::string_view v, int) {
       return put(w.bandwidth, parse_rate(v)) && w.bandwidth > 0;
     }},
    {"slice", a_size, [](WayFaults& w, std::string_view v, int) { return put_slice(w, v); }},
    {"slice_delay", a_time, [](WayFaults& w, std::string_view v, int) { return put_time(w.slice_delay, v, 1); }},
    {"stall", a_stall, [](WayFaults& w, std::string_view v, int) { return put(w.stall, parse_stall(v)); }},
    {"reset_after", a_point, [](WayFaults& w, std::string_view v, int) { return put(w.reset_after, parse_point(v)); }},
    {"close_after", a_point, [](WayFaults& w, std::string_view v, int) { return put(w.close_after, parse_point(v)); }},
    {"close_delay", a_time, [](WayFaults& w, std::string_view v, int) { return put_time(w.close_delay, v, 1); }},
    {"loss", a_share, [](WayFaults& w, std::string_view v, int) { return put(w.loss, parse_share(v)); }},
    {"duplicate", a_share, [](WayFaults& w, std::string_view v, int) { return put(w.duplicate, parse_share(v)); }},
    {"reorder", a_share, [](WayFaults& w, std::string_view v, int) { return put(w.reorder, parse_share(v)); }},
    {"corrupt", a_share, [](WayFaults& w, std::string_view v, int) { return put(w.corrupt, parse_share(v)); }},
};
// clang-format on

struct ShareKey {
  std::string_view name;
  double FaultSpec::*share;
};
constexpr ShareKey flow_keys[] = {{"refuse", &FaultSpec::refuse},
                                  {"blackhole", &FaultSpec::blackhole},
                                  {"nxdomain", &FaultSpec::nxdomain},
                                  {"servfail", &FaultSpec::servfail}};

struct PacketKey {
  std::string_view name;
  double PacketWayFaults::*share;
};
constexpr PacketKey packet_keys[] = {{"loss", &PacketWayFaults::loss},
                                     {"duplicate", &PacketWayFaults::duplicate},
                                     {"reorder", &PacketWayFaults::reorder}};

// One fault, taken apart.
struct Said {
  std::string_view whole, name = {}, value = {};
  bool has_value = false, packets = false, up = true, down = true;
  int ways() const { return up + down; }
};

Error wrong_fault(std::string_view what, std::string_view why, std::string advice) {
  return {"'" + std::string(what) + "' " + std::string(why), {}, std::move(advice), ExitCode::usage};
}

Error wrong_value(const Said& said, const char* expected) {
  return wrong_fault(said.whole, said.has_value ? "has a value that nsrun cannot read" : "has no value",
                     std::string(said.name) + " takes " + expected);
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

Said take_apart(std::string_view text) {
  Said said{.whole = text};
  said.packets = take_prefix(text, "packets:");
  if (take_prefix(text, "up:"))
    said.down = false;
  else if (take_prefix(text, "down:"))
    said.up = false;
  const auto equals = text.find('=');
  said.name = trimmed(text.substr(0, equals));
  said.has_value = equals != text.npos;
  if (said.has_value) said.value = trimmed(text.substr(equals + 1));
  return said;
}

Result<void> take_packets(const Said& said, PacketFaultSpec& packets) {
  for (const auto& key : packet_keys) {
    if (key.name != said.name) continue;
    const auto share = parse_share(said.value);
    if (!share) return wrong_value(said, a_share);
    if (said.up) packets.up.*key.share = *share;
    if (said.down) packets.down.*key.share = *share;
    return {};
  }
  return wrong_fault(said.whole, "is not a fault of packets", "these are loss, duplicate and reorder");
}

// Faults of a flow as a whole, or of an answer; false: it is none of these.
Result<bool> take_whole(const Said& said, FaultSpec& spec) {
  const auto share = std::find_if(std::begin(flow_keys), std::end(flow_keys),
                                  [&](const auto& key) { return key.name == said.name; });
  const bool is_share = share != std::end(flow_keys);
  if (!is_share && said.name != "syn_delay" && said.name != "answer") return false;
  if (!said.up || !said.down)
    return wrong_fault(said.whole, "names a way",
                       std::string(said.name) + " has none: leave up: or down: out");
  if (is_share) {
    const auto value = said.has_value ? parse_share(said.value) : 1;
    if (!value) return wrong_value(said, "a share: 10%, or nothing for all");
    spec.*share->share = *value;
  } else if (said.name == "syn_delay") {
    if (!put(spec.syn_delay, parse_time(said.value))) return wrong_value(said, a_time);
  } else {
    const auto address = IpAddress::parse(said.value);
    if (!address) return wrong_value(said, an_address);
    spec.answers.push_back(*address);
  }
  return true;
}

Result<void> take(const Said& said, FaultSpec& spec) {
  if (said.packets) return take_packets(said, spec.packets);
  const auto whole = take_whole(said, spec);
  if (!whole) return whole.error();
  if (*whole) return {};
  for (const auto& key : way_keys) {
    if (key.name != said.name) continue;
    const bool taken = (!said.up || key.set(spec.up, said.value, said.ways())) &&
                       (!said.down || key.set(spec.down, said.value, said.ways()));
    if (!taken) return wrong_value(said, key.expected);
    return {};
  }
  return wrong_fault(
      said.whole, "is not a known fault",
      "there are latency, jitter, bandwidth, slice, slice_delay, stall, reset_after, close_after, "
      "close_delay, loss, duplicate, reorder, corrupt, refuse, blackhole, syn_delay, nxdomain, "
      "servfail and answer");
}

}  // namespace

Result<FaultSpec> parse_faults(std::string_view text) {
  FaultSpec spec;
  spec.text = trimmed(text);
  for (std::string_view rest = spec.text;;) {
    const auto comma = rest.find(',');
    if (auto taken = take(take_apart(trimmed(rest.substr(0, comma))), spec); !taken) return taken.error();
    if (comma == rest.npos) return spec;
    rest.remove_prefix(comma + 1);
  }
}

}  // namespace nsrun
