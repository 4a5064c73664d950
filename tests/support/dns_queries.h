#pragma once

#include <cstdint>
#include <string_view>

#include "host/names/dns_message.h"

namespace nsrun::test {

// A standard query as a stub resolver sends it: recursion desired, one question, class IN. `name` is dotted,
// its letters stay as they are.
DnsBytes dns_query(std::string_view name, DnsType type, std::uint16_t id = 0x1234);

// Adds an OPT record without options (RFC 6891 6.1.2).
DnsBytes with_edns(DnsBytes query, std::uint16_t udp_size);

}  // namespace nsrun::test
