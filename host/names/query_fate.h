#pragma once

#include <optional>

#include "host/faults/faults.h"
#include "host/names/dns_message.h"

namespace nsrun {

// What becomes of one query to the name server.
struct QueryFate {
  bool lost = false;  // the query, or its answer
  std::chrono::nanoseconds delay{0};
  std::optional<DnsReply> reply;  // in place of the true one
  std::size_t copies = 1;         // of the answer
  std::optional<double> flips;    // where a bit of the answer is wrong, as flip_bit() has it
};

// The next query's. A query counts as a flow; it and its answer may each be lost, doubled and so on.
QueryFate fate_of_query(Faults& faults, const DnsQuestion& question);

}  // namespace nsrun
