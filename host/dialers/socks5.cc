#include "host/dialers/socks5.h"

#include <boost/system/result.hpp>

namespace nsrun::socks5 {
namespace {

// An Error can be made from a string as well, so a string has to say that it is the value.
using boost::system::in_place_value;

constexpr std::uint8_t version = 5;
constexpr std::uint8_t password_version = 1;
enum : std::uint8_t { type_v4 = 1, type_name = 3, type_v6 = 4 };

std::uint8_t byte_at(Bytes bytes, std::size_t index) { return std::to_integer<std::uint8_t>(bytes[index]); }
char as_char(std::size_t value) { return static_cast<char>(static_cast<std::uint8_t>(value)); }

Error malformed(const char* what) {
  return {std::string("its ") + what + " is not SOCKS5", errno_code(EPROTO), "is it a SOCKS5 proxy?"};
}

// Type, address and port, as they stand in requests, replies and datagrams alike.
Result<std::string> encode(const Address& to) {
  std::string out;
  if (to.name.size() > 255)
    return Error{"the name " + to.name + " is too long for SOCKS5", errno_code(ENAMETOOLONG)};
  if (!to.name.empty()) {
    out += as_char(type_name);
    out += as_char(to.name.size());
    out += to.name;
  } else {
    const auto& address = to.endpoint.address;
    out += as_char(address.is_v4() ? type_v4 : type_v6);
    out.append(reinterpret_cast<const char*>(address.data()), address.size());
  }
  out += as_char(to.endpoint.port >> 8);
  out += as_char(to.endpoint.port & 0xff);
  return {in_place_value, std::move(out)};
}

// The length of type, address and port; 0 for an unknown type. Needs the first two bytes.
std::size_t address_length(Bytes at) {
  switch (byte_at(at, 0)) {
    case type_v4:
      return 1 + 4 + 2;
    case type_v6:
      return 1 + 16 + 2;
    case type_name:
      return 1 + 1 + std::size_t{byte_at(at, 1)} + 2;
    default:
      return 0;
  }
}

// `at` is exactly address_length bytes.
Address decode(Bytes at) {
  Address address;
  switch (byte_at(at, 0)) {
    case type_v4:
      address.endpoint.address = IpAddress::v4_from(at.data() + 1);
      break;
    case type_v6:
      address.endpoint.address = IpAddress::v6_from(at.data() + 1);
      break;
    default:
      address.name = as_text(at.subspan(2, byte_at(at, 1)));
  }
  const auto port = at.last(2);
  address.endpoint.port = static_cast<std::uint16_t>(byte_at(port, 0) << 8 | byte_at(port, 1));
  return address;
}

// RFC 1928 6, in the words a direct connect would have used.
Error refusal(std::uint8_t reply) {
  switch (reply) {
    case 1:
      return {"general failure", errno_code(ECONNREFUSED)};
    case 2:
      return {"its rules do not allow the connection", errno_code(EACCES)};
    case 3:
      return {"its answer", errno_code(ENETUNREACH)};
    case 4:
      return {"its answer", errno_code(EHOSTUNREACH)};
    case 5:
      return {"its answer", errno_code(ECONNREFUSED)};
    case 6:
      return {"TTL expired", errno_code(EHOSTUNREACH)};  // as Linux reports ICMP time exceeded
    case 7:
      return {"it does not know the command", errno_code(EPROTONOSUPPORT)};
    // Mostly a proxy without IPv6: the asker tries its next address.
    case 8:
      return {"it does not know the address type", errno_code(ENETUNREACH)};
    default:
      return {"failure " + std::to_string(reply), errno_code(ECONNREFUSED)};
  }
}

}  // namespace

std::string greeting(bool with_password) {
  std::string out{as_char(version), as_char(with_password ? 2 : 1), as_char(0)};
  if (with_password) out += as_char(static_cast<std::uint8_t>(Method::password));
  return out;
}

Result<Method> parse_method(Bytes answer) {
  if (answer.size() != method_length || byte_at(answer, 0) != version) return malformed("greeting");
  switch (byte_at(answer, 1)) {
    case 0:
      return Method::none;
    case 2:
      return Method::password;
    case 0xff:
      return Error{"it accepts none of our ways to log in", errno_code(EACCES),
                   "does it want a user and password?"};
    default:
      return malformed("choice of login");
  }
}

Result<std::string> password_request(const Credentials& credentials) {
  const auto& [user, password] = credentials;
  if (user.empty() || user.size() > 255 || password.size() > 255)
    return Error{"SOCKS5 carries users of 1 to 255 bytes and passwords of at most 255", errno_code(EINVAL)};
  auto out = std::string{as_char(password_version), as_char(user.size())} + user;
  out += as_char(password.size());
  out += password;
  return {in_place_value, std::move(out)};
}

Result<void> parse_password_answer(Bytes answer) {
  if (answer.size() != password_answer_length) return malformed("answer to the password");
  // Some proxies put the protocol's version where the RFC has the login's, so only the status counts.
  if (byte_at(answer, 1) != 0) return Error{"it refuses our user or password", errno_code(EACCES)};
  return {};
}

Result<std::string> request(Command command, const Address& to) {
  auto address = encode(to);
  if (!address) return address;
  const std::string start{as_char(version), as_char(static_cast<std::uint8_t>(command)), as_char(0)};
  return {in_place_value, start + *address};
}

Result<std::size_t> reply_length(Bytes start) {
  if (start.size() < reply_start_length || byte_at(start, 0) != version) return malformed("reply");
  if (const auto reply = byte_at(start, 1); reply != 0) return refusal(reply);
  const auto length = address_length(start.subspan(3));
  if (length == 0) return malformed("bound address");
  return 3 + length;
}

Result<Address> parse_reply(Bytes reply) {
  const auto length = reply_length(reply);
  if (!length) return length.error();
  if (reply.size() != *length) return malformed("reply's length");
  return decode(reply.subspan(3));
}

Result<std::string> datagram_header(const Address& to) {
  auto address = encode(to);
  if (!address) return address;
  return {in_place_value,
          std::string(3, '\0') + *address};  // two reserved bytes; fragment 0: it stands alone
}

Result<Datagram> parse_datagram(Bytes datagram) {
  if (datagram.size() < 5) return malformed("datagram");
  if (byte_at(datagram, 2) != 0) return malformed("fragment");
  const auto at = datagram.subspan(3);
  const auto length = address_length(at);
  if (length == 0 || at.size() < length) return malformed("datagram's address");
  return Datagram{decode(at.first(length)), at.subspan(length)};
}

}  // namespace nsrun::socks5
