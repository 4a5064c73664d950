#include "runtime/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace nsrun {

IpAddress IpAddress::v4_from(const void* four_bytes) {
  std::uint8_t b[4];
  std::memcpy(b, four_bytes, 4);
  return v4(b[0], b[1], b[2], b[3]);
}

IpAddress IpAddress::v6_from(const void* sixteen_bytes) {
  IpAddress address;
  std::memcpy(address.bytes_.data(), sixteen_bytes, 16);
  return address;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != text.npos) return std::nullopt;
  char terminated[INET6_ADDRSTRLEN] = {};
  std::copy(text.begin(), text.end(), terminated);
  std::uint8_t bytes[16];
  if (inet_pton(AF_INET, terminated, bytes) == 1) return v4_from(bytes);
  if (inet_pton(AF_INET6, terminated, bytes) == 1) return v6_from(bytes);
  return std::nullopt;
}

bool IpAddress::is_unspecified() const { return is_v4() ? data()[0] == 0 : *this == IpAddress{}; }

bool IpAddress::is_loopback() const {
  if (is_v4()) return data()[0] == 127;
  return std::all_of(bytes_.begin(), bytes_.end() - 1, [](auto b) { return b == 0; }) && bytes_[15] == 1;
}

bool IpAddress::is_link_local() const {
  if (is_v4()) return data()[0] == 169 && data()[1] == 254;
  return bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}

bool IpAddress::is_multicast() const {
  if (is_v4()) return (data()[0] & 0xf0) == 0xe0 || *this == v4(255, 255, 255, 255);
  return bytes_[0] == 0xff;
}

std::string IpAddress::to_string() const {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(is_v4() ? AF_INET : AF_INET6, data(), text, sizeof text);
  return text;
}

std::optional<Cidr> Cidr::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  // An IPv4-mapped range in IPv6 notation is the IPv4 range it holds; its length counts from the IPv6 start.
  const bool mapped = address->is_v4() && text.find(':') != text.npos;
  const unsigned before = mapped ? 96 : 0, longest = before + (address->is_v4() ? 32 : 128);
  unsigned length = longest;
  if (slash != text.npos) {
    const auto digits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (error != std::errc{} || end != digits.data() + digits.size() || length > longest || length < before)
      return std::nullopt;
  }
  length -= before;
  auto bytes = address->mapped();
  for (unsigned bit = length + (address->is_v4() ? 96 : 0); bit < 128; ++bit)
    bytes[bit / 8] &= ~(0x80 >> (bit % 8));
  return Cidr{IpAddress::v6_from(bytes.data()), static_cast<std::uint8_t>(length)};
}

bool Cidr::contains(const IpAddress& other) const {
  if (address.is_v4() != other.is_v4()) return false;
  const unsigned whole = length / 8, rest = length % 8;
  if (std::memcmp(address.data(), other.data(), whole) != 0) return false;
  return rest == 0 || ((address.data()[whole] ^ other.data()[whole]) >> (8 - rest)) == 0;
}

std::string Cidr::to_string() const { return address.to_string() + "/" + std::to_string(length); }

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == text.npos) return std::nullopt;
  auto host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = IpAddress::parse(host);
  const auto port = parse_port(text.substr(colon + 1));
  if (!address || !port || bracketed == (host.find(':') == host.npos)) return std::nullopt;
  return Endpoint{*address, *port};
}

std::string Endpoint::to_string() const {
  const auto host = address.to_string();
  return (address.is_v4() ? host : "[" + host + "]") + ":" + std::to_string(port);
}

SocketAddress::SocketAddress(const Endpoint& endpoint) {
  if (endpoint.address.is_v4()) {
    auto* in = reinterpret_cast<sockaddr_in*>(&storage);
    in->sin_family = AF_INET;
    in->sin_port = htons(endpoint.port);
    std::memcpy(&in->sin_addr, endpoint.address.data(), 4);
    length = sizeof *in;
  } else {
    auto* in6 = reinterpret_cast<sockaddr_in6*>(&storage);
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(endpoint.port);
    std::memcpy(&in6->sin6_addr, endpoint.address.data(), 16);
    length = sizeof *in6;
  }
}

Endpoint SocketAddress::endpoint() const {
  if (family() == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(&storage);
    return {IpAddress::v4_from(&in->sin_addr), ntohs(in->sin_port)};
  }
  if (family() == AF_INET6) {
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    return {IpAddress::v6_from(&in6->sin6_addr), ntohs(in6->sin6_port)};
  }
  return {};
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  unsigned port = 0;
  if (text.empty() || text.size() > 5) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0 || port > 65535)
    return std::nullopt;
  return static_cast<std::uint16_t>(port);
}

}  // namespace nsrun

std::size_t std::hash<nsrun::IpAddress>::operator()(const nsrun::IpAddress& address) const noexcept {
  return std::hash<std::string_view>{}(
      {reinterpret_cast<const char*>(address.mapped().data()), address.mapped().size()});
}
