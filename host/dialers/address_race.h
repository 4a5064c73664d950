#pragma once

#include <vector>

#include "host/dialers/address_selection.h"
#include "host/flow/dialer.h"

namespace nsrun {

// Dials the addresses of a name through `by_address` until one answers: staggered and beside each other
// (address_race.cc). `target` is the name's; target.resolved is told of each address as it is dialled, and
// last of the one that was taken. At least one address; what is referred to outlives the call. `source`: by
// which the addresses are sorted (sort_destinations).
Task<Result<std::unique_ptr<Connection>>> dial_addresses(const Target& target,
                                                         std::vector<IpAddress> addresses, Dialer& by_address,
                                                         SourceLookup source = source_for);

// The order in which to try a name's addresses: the families take turns, beginning with that of `source`, or
// of the first address where `source` is unspecified. Within a family the order stays.
std::vector<IpAddress> order_addresses(const std::vector<IpAddress>& addresses, const IpAddress& source);

}  // namespace nsrun
