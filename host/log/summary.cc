#include "host/log/summary.h"

#include <array>
#include <cstdio>

namespace nsrun {
namespace {

// By its name where it is known, else by its address; and by its port, for it is what a rule would name.
std::string peer_of(const FlowRecord& record) {
  const bool guest_asked = is_guest(record.asker);
  const Endpoint& peer = guest_asked ? record.key.target : record.key.source;
  if (record.key.protocol == Protocol::icmp)
    return record.name.empty() ? peer.address.to_string() : record.name.str();
  if (!guest_asked) return "clients of port " + std::to_string(record.key.target.port);
  return record.name.empty() ? peer.to_string() : record.name.str() + ":" + std::to_string(peer.port);
}

std::string_view verdict_of(const FlowRecord& record) {
  if (record.end == FlowEnd::policy) return "cut";
  if (record.allowed) return record.end == FlowEnd::failed ? "failed" : "allow";
  return record.rejected ? "reject" : "deny";
}

}  // namespace

void Summary::add(const FlowRecord& record) {
  const bool is_refused = !record.allowed || record.end == FlowEnd::policy;
  const Fate fate = is_refused ? Fate::refused : record.end == FlowEnd::failed ? Fate::failed : Fate::passed;
  const bool is_forward = record.asker == Asker::forwarded || record.asker == Asker::guest_forwarded;
  Key key{
      fate, std::string(verdict_of(record)),
      is_forward ? record.dialled() : std::string(to_string(record.key.protocol)) + "/" + peer_of(record)};
  if (sums_.size() >= max_lines && !sums_.contains(key)) key.peer = "others";
  Sum& sum = sums_[key];
  sum.flows += 1;
  sum.bytes_up += record.bytes_up;
  sum.bytes_down += record.bytes_down;
}

std::string Summary::text() const {
  std::uint64_t flows = 0, refused = 0;
  std::string lines;
  for (const auto& [key, sum] : sums_) {
    flows += sum.flows;
    if (key.fate == Fate::refused) refused += sum.flows;
    std::array<char, 80> head;
    std::snprintf(head.data(), head.size(), "%-8s%7llu%9s%9s  ", key.verdict.c_str(),
                  static_cast<unsigned long long>(sum.flows), in_short(sum.bytes_up).c_str(),
                  in_short(sum.bytes_down).c_str());
    lines.append(head.data()).append(key.peer).append("\n");
  }
  std::string text = std::to_string(flows) + " flows, " + std::to_string(refused) + " refused\n";
  if (!lines.empty()) text += "verdict   flows       up     down  to\n";
  return text + lines;
}

std::string in_short(std::uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes);
  auto value = static_cast<double>(bytes);
  const char* unit = "KMGTPE";
  for (value /= 1024; value >= 1023.95 && unit[1]; value /= 1024) ++unit;
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.1f%c", value, *unit);
  return text.data();
}

}  // namespace nsrun
