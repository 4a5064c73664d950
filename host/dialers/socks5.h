#pragma once

#include <string>

#include "host/dialers/proxy.h"
#include "runtime/address.h"

// The client's side of SOCKS5: bytes in, values out, no I/O. Lengths are in bytes. RFC 1928; passwords
// RFC 1929.

namespace nsrun::socks5 {

enum class Method : std::uint8_t { none = 0, password = 2 };
enum class Command : std::uint8_t { connect = 1, udp_associate = 3 };

// A destination, or where the proxy is bound: an address, or a name when it is not empty.
struct Address {
  Endpoint endpoint;  // its port always counts
  std::string name;   // at most 255 bytes
};

std::string greeting(bool with_password);
constexpr std::size_t method_length = 2;
Result<Method> parse_method(Bytes answer);

Result<std::string> password_request(const Credentials& credentials);
constexpr std::size_t password_answer_length = 2;
Result<void> parse_password_answer(Bytes answer);

Result<std::string> request(Command command, const Address& to);
// A reply says how long it is in its first bytes.
constexpr std::size_t reply_start_length = 5;
// The whole reply's length. A refusal is an error already: its code says why (ECONNREFUSED, EACCES, …).
Result<std::size_t> reply_length(Bytes start);
// The bound address of a whole reply.
Result<Address> parse_reply(Bytes reply);

// What goes in front of a datagram to the proxy's relay (RFC 1928 7).
Result<std::string> datagram_header(const Address& to);
constexpr std::size_t max_datagram_header = 4 + 1 + 255 + 2;
struct Datagram {
  Address from;
  Bytes payload;
};
// Fragments are an error: we do not reassemble, as the RFC allows.
Result<Datagram> parse_datagram(Bytes datagram);

}  // namespace nsrun::socks5
