#include "host/services/wake/group_activity.h"

#include <algorithm>

namespace nsrun {
namespace {

std::uint64_t units_between(const Counters& then, const Counters& now, WakeGroupOptions::Unit unit) {
  const auto moved = [](const auto& before, const auto& after) {
    return after.bytes_up + after.bytes_down - before.bytes_up - before.bytes_down;
  };
  const std::uint64_t stream = moved(then.tcp, now.tcp);
  if (unit == WakeGroupOptions::Unit::bytes) return stream + moved(then.udp, now.udp);
  return packets_of_stream(stream) + now.udp.packets_up + now.udp.packets_down - then.udp.packets_up -
         then.udp.packets_down;
}

}  // namespace

void GroupActivity::arrival(Clock::time_point now) {
  if (options_.by_arrivals) clock_.touch(now);
}

void GroupActivity::count(Clock::time_point now) {
  const auto all = totals();
  const auto units = units_between(counted_, all, options_.unit);
  counted_ = all;
  if (options_.by_traffic) clock_.moved(now, units);
  if (options_.by_connections && has_flows()) clock_.touch(now);
}

void GroupActivity::skip() { counted_ = totals(); }

bool GroupActivity::has_flows() const {
  return std::ranges::any_of(flows_, [](LiveFlows* each) { return LiveFlows::Walk(*each).next(); });
}

std::uint64_t GroupActivity::packets_from_clients() const {
  return packets_of_stream(totals().tcp.bytes_up - counted_.tcp.bytes_up);
}

void GroupActivity::cut_datagrams(const std::string& reason) {
  for (auto* each : flows_) {
    LiveFlows::Walk walk(*each);
    while (auto* flow = walk.next())
      if (flow->key.protocol == Protocol::udp && flow->packets_up > 0) flow->cut(reason);
  }
}

Counters GroupActivity::totals() const {
  Counters sum;
  for (const auto* each : flows_) sum += each->totals;
  return sum;
}

}  // namespace nsrun
