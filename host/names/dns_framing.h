#pragma once

#include <optional>

#include "host/names/dns_message.h"
#include "runtime/connection.h"
#include "runtime/memory_budget.h"

// DNS messages on a connection: one a datagram, or preceded by their length in two bytes (RFC 1035 4.2.2).

namespace nsrun {

// The next message; nothing at the connection's end, which may cut a message short. A datagram is cut at
// `max_datagram` bytes, the room set aside for it while it is waited for.
// A stream's message takes memory as it comes, whatever length it claims; `memory` is charged for it, and an
// error is what it refuses. Null: nothing is charged.
Task<Result<std::optional<DnsBytes>>> read_dns_message(Connection& from, std::size_t max_datagram,
                                                       MemoryCharge* memory = nullptr);

// `message`: at most max_dns_message bytes. One write, so that a peer which expects length and message in one
// segment is content (RFC 7766 8).
Task<Result<void>> write_dns_message(Connection& to, Bytes message);

}  // namespace nsrun
