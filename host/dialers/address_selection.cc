#include "host/dialers/address_selection.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "runtime/fd.h"

// Rules 3, 4 and 7 of RFC 6724 need to know which addresses are deprecated, home addresses or tunnelled,
// which a socket does not tell. Rule 9, the longest common prefix, would undo the rotation by which name
// servers spread load. /etc/gai.conf is not read.

namespace nsrun {
namespace {

struct Label {
  int label, precedence;
};

// RFC 6724 2.1; the longest prefix first.
Label label_of(const IpAddress& address) {
  if (address.is_v4()) return {4, 35};
  if (address.is_loopback()) return {0, 50};
  static const std::array<std::pair<Cidr, Label>, 6> table{{{*Cidr::parse("::/96"), {3, 1}},
                                                            {*Cidr::parse("2001::/32"), {5, 5}},
                                                            {*Cidr::parse("2002::/16"), {2, 30}},
                                                            {*Cidr::parse("3ffe::/16"), {12, 1}},
                                                            {*Cidr::parse("fec0::/10"), {11, 1}},
                                                            {*Cidr::parse("fc00::/7"), {13, 3}}}};
  for (const auto& [prefix, label] : table)
    if (prefix.contains(address)) return label;
  return {1, 40};
}

// RFC 6724 3.1, 3.2: as in IPv6 multicast addresses (RFC 4291 2.7).
int scope_of(const IpAddress& address) {
  constexpr int link_local = 2, site_local = 5, global = 14;
  static const Cidr site = *Cidr::parse("fec0::/10");
  if (address.is_v6() && address.is_multicast()) return address.data()[1] & 0x0f;
  if (address.is_loopback() || address.is_link_local()) return link_local;
  return site.contains(address) ? site_local : global;
}

// The smaller, the better.
using Rank = std::tuple<bool, bool, bool, int, int>;

Rank rank_of(const IpAddress& address, const std::optional<IpAddress>& source) {
  const auto [label, precedence] = label_of(address);
  const int scope = scope_of(address);
  const bool other_scope = !source || scope_of(*source) != scope;
  const bool other_label = !source || label_of(*source).label != label;
  return {!source, other_scope, other_label, -precedence, scope};
}

}  // namespace

std::optional<IpAddress> source_for(const IpAddress& address) {
  constexpr std::uint16_t any_port = 9;  // nothing is sent
  SocketAddress there({address, any_port}), here;
  const UniqueFd probe(::socket(there.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!probe || ::connect(probe.get(), there.get(), there.length) < 0) return std::nullopt;
  if (::getsockname(probe.get(), here.get(), &here.length) < 0) return std::nullopt;
  return here.endpoint().address;
}

std::vector<IpAddress> sort_destinations(const std::vector<IpAddress>& addresses,
                                         const SourceLookup& source) {
  const bool all_loopback = std::ranges::all_of(addresses, &IpAddress::is_loopback);
  if (addresses.size() < 2 || all_loopback) return addresses;
  std::vector<std::pair<Rank, IpAddress>> ranked;
  for (const IpAddress& address : addresses) ranked.emplace_back(rank_of(address, source(address)), address);
  std::ranges::stable_sort(ranked, {}, &std::pair<Rank, IpAddress>::first);
  std::vector<IpAddress> sorted;
  for (const auto& [rank, address] : ranked) sorted.push_back(address);
  return sorted;
}

}  // namespace nsrun
