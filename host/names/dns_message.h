#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/address.h"
#include "runtime/bytes.h"

// DNS messages (RFC 1035 4.1), as far as a forwarder reads them. Pure: bytes in, value or error out. What is
// forwarded stays the bytes it was, so that EDNS, DNSSEC records and types unknown here pass unchanged.

namespace nsrun {

using DnsBytes = std::vector<std::byte>;  // one message, without the length that precedes it over TCP

constexpr std::size_t max_dns_message = 65535;  // bytes

enum class DnsType : std::uint16_t {
  a = 1,
  ptr = 12,
  aaaa = 28,
  svcb = 64,
  https = 65,
  ixfr = 251,
  axfr = 252,
  any = 255
};
enum class DnsCode : std::uint8_t {
  no_error = 0,
  format_error = 1,
  server_failure = 2,
  name_error = 3,  // NXDOMAIN
  not_implemented = 4,
  refused = 5,
};

struct DnsHeader {
  std::uint16_t id = 0;
  bool response = false;
  std::uint8_t operation = 0;  // 0: a standard query
  bool truncated = false;
  DnsCode code = DnsCode::no_error;  // as on the wire: may have a value not named above
};

struct DnsQuestion {
  // Lower case, without the trailing dot (the root is empty); bytes that are not plain are escaped as in
  // RFC 1035 5.1 (\. and \032), so that no two names on the wire have one text.
  std::string name;
  DnsType type{};
  std::uint16_t record_class = 1;  // 1: IN
  bool operator==(const DnsQuestion&) const = default;
};

struct DnsQuery {
  DnsHeader header;
  DnsQuestion question;
  std::optional<std::uint16_t> edns_size;  // bytes the asker takes in one datagram, where it says (RFC 6891)
};

// A reply of our own making.
struct DnsReply {
  DnsCode code = DnsCode::no_error;
  std::vector<IpAddress> addresses = {};  // A and AAAA records of the name that was asked for
  std::string pointer = {};               // a PTR record's name; empty: none
  std::chrono::seconds ttl{0};
};

// Nothing when fewer than a header's 12 bytes are there.
std::optional<DnsHeader> parse_dns_header(Bytes message);

// The whole of a query that asks exactly one question (RFC 9619 forbids more).
Result<DnsQuery> parse_dns_query(Bytes message);

// The one question of a query or response; nothing when there is not exactly one, or it is malformed. The
// rest of the message is not looked at.
std::optional<DnsQuestion> parse_dns_question(Bytes message);

// The addresses in the answer section of a response; none when it is malformed.
std::vector<IpAddress> parse_dns_addresses(Bytes response);

// Asks for one type of record of a name (canonical_name.h). An error for a name that does not fit DNS.
Result<DnsBytes> encode_dns_query(const std::string& name, DnsType type);

// `message` has at least its header.
void set_dns_id(DnsBytes& message, std::uint16_t id);

// Answers `query`, which has at least its header. When the query cannot be parsed the reply is a header
// alone.
DnsBytes encode_dns_reply(Bytes query, const DnsReply& reply);

}  // namespace nsrun
