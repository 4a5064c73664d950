#include "host/policy/rule_index.h"

#include <algorithm>

namespace nsrun {
namespace {

// The network of this length that an address lies in.
IpAddress network_of(const IpAddress& address, unsigned length) {
  auto bytes = address.mapped();
  length += address.is_v4() ? 96 : 0;
  if (length % 8) bytes[length / 8] &= static_cast<std::uint8_t>(0xff00u >> (length % 8));
  std::fill(bytes.begin() + (length + 7) / 8, bytes.end(), std::uint8_t{0});
  return IpAddress::v6_from(bytes.data());
}

}  // namespace

void RuleIndex::add(Position position, const Match& match) {
  const Entry entry{position, match.protocol, match.ports, match.is_of_queries()};
  switch (match.host) {
    case Match::Host::any:
      return any_.push_back(entry);
    case Match::Host::name:
      return names_[match.name].push_back(entry);
    case Match::Host::below:
      return below_[match.name].push_back(entry);
    case Match::Host::network:
      break;
  }
  const auto& address = match.network.address;
  const auto length = match.network.length;
  auto same = std::find_if(networks_.begin(), networks_.end(), [&](const Networks& networks) {
    return networks.v4 == address.is_v4() && networks.length == length;
  });
  if (same == networks_.end()) same = networks_.insert(same, {address.is_v4(), length, {}});
  same->by_address[address].push_back(entry);
}

// A name's own entries, and those of all names that it is below.
template <class Visit>
void RuleIndex::visit_names(std::string_view name, Visit visit) const {
  if (const auto exact = names_.find(name); exact != names_.end()) visit(exact->second);
  for (auto dot = name.find('.'); dot != name.npos; dot = name.find('.', dot + 1))
    if (const auto above = below_.find(name.substr(dot + 1)); above != below_.end()) visit(above->second);
}

std::optional<RuleIndex::Position> RuleIndex::first(const Subject& subject) const {
  auto found = first_network(subject);
  const auto look = [&](const Entries& entries) {
    for (const Entry& entry : entries) {
      if (found && entry.position >= *found) return;
      if (entry.fits(subject)) found = entry.position;
    }
  };
  look(any_);
  if (!subject.name.empty()) visit_names(subject.name, look);
  return found;
}

std::optional<RuleIndex::Position> RuleIndex::first_network(const Subject& subject) const {
  std::optional<Position> found;
  if (!subject.address) return found;
  for (const auto& networks : networks_) {
    if (networks.v4 != subject.address->is_v4()) continue;
    const auto entries = networks.by_address.find(network_of(*subject.address, networks.length));
    if (entries == networks.by_address.end()) continue;
    for (const Entry& entry : entries->second)
      if (entry.fits(subject) && (!found || entry.position < *found)) found = entry.position;
  }
  return found;
}

std::vector<RuleIndex::Position> RuleIndex::about(std::string_view name) const {
  std::vector<Position> positions;
  const auto take = [&](const Entries& entries) {
    for (const Entry& entry : entries) positions.push_back(entry.position);
  };
  take(any_);
  visit_names(name, take);
  std::sort(positions.begin(), positions.end());
  return positions;
}

}  // namespace nsrun
