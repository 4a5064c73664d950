#include "host/services/proxy/domain_map.h"

#include <algorithm>

#include "host/http/authority.h"

namespace nsrun {

bool DomainMap::add(Owner owner, std::string_view host_port, std::uint16_t port) {
  const auto place = Authority::parse(host_port);
  if (!place) return false;
  entries_.push_back({owner, place->to_string(), port});
  return true;
}

void DomainMap::remove(Owner owner) {
  entries_.remove_if([&](const Entry& entry) { return entry.owner == owner; });
}

void DomainMap::remove(Owner owner, std::uint16_t port) {
  entries_.remove_if([&](const Entry& entry) { return entry.owner == owner && entry.port == port; });
}

std::optional<std::uint16_t> DomainMap::find(std::string_view host_port) const {
  const auto place = Authority::parse(host_port);
  if (!place) return std::nullopt;
  const auto found = std::ranges::find(entries_, place->to_string(), &Entry::place);
  if (found == entries_.end()) return std::nullopt;
  return found->port;
}

}  // namespace nsrun
