#include "host/names/query_fate.h"

#include <algorithm>

namespace nsrun {
namespace {

constexpr std::chrono::seconds ttl{60};  // of answers that a fault gives
constexpr auto late = 100ms;             // reordered: behind what is asked within this time

std::chrono::nanoseconds delay_on(const WayFaults& way, SeededRandom& chance) {
  const auto extra = std::chrono::nanoseconds(
      static_cast<std::int64_t>(chance.balanced() * static_cast<double>(way.jitter.count())));
  const bool reordered = chance.happens(way.reorder);
  return std::max(way.latency + extra, std::chrono::nanoseconds(0)) + (reordered ? late : 0ns);
}

// Those of the question's family; a name that has none of it exists nevertheless.
DnsReply wrong_addresses(const std::vector<IpAddress>& addresses, DnsType type) {
  DnsReply reply{.ttl = ttl};
  for (const IpAddress& address : addresses)
    if (type == (address.is_v4() ? DnsType::a : DnsType::aaaa)) reply.addresses.push_back(address);
  return reply;
}

}  // namespace

QueryFate fate_of_query(Faults& faults, const DnsQuestion& question) {
  const auto spec = faults.spec();
  const auto number = faults.next_flow();
  auto dial = faults.chance(number, SeededRandom::Part::dial);
  const bool swallowed = dial.happens(spec->blackhole), no_name = dial.happens(spec->nxdomain),
             failed = dial.happens(spec->servfail);
  QueryFate fate{.lost = swallowed, .delay = {}, .reply = {}, .flips = {}};
  for (const auto& [way, part] :
       {std::pair(&spec->up, SeededRandom::Part::up), std::pair(&spec->down, SeededRandom::Part::down)}) {
    auto chance = faults.chance(number, part);
    fate.lost |= chance.happens(way->loss);
    fate.copies += chance.happens(way->duplicate);
    const bool changed = chance.happens(way->corrupt);
    if (const double where = chance.unit(); changed) fate.flips = where;
    fate.delay += delay_on(*way, chance);
  }
  const bool asks_address = question.type == DnsType::a || question.type == DnsType::aaaa;
  if (no_name)
    fate.reply = DnsReply{.code = DnsCode::name_error};
  else if (failed)
    fate.reply = DnsReply{.code = DnsCode::server_failure};
  else if (!spec->answers.empty() && asks_address)
    fate.reply = wrong_addresses(spec->answers, question.type);
  return fate;
}

}  // namespace nsrun
