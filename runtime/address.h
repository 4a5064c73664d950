#pragma once

#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/result.h"

namespace nsrun {

// An IPv4 or IPv6 address without a scope. IPv4 is kept in its IPv4-mapped form (::ffff:a.b.c.d, RFC 4291
// 2.5.5.2), so an address has one representation however it was written, and comparison folds the two.
class IpAddress {
 public:
  constexpr IpAddress() = default;  // ::
  static constexpr IpAddress v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
    IpAddress address;
    address.bytes_ = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d};
    return address;
  }
  static IpAddress v4_from(const void* four_bytes);     // network order
  static IpAddress v6_from(const void* sixteen_bytes);  // network order; folds IPv4-mapped addresses
  // Strict textual forms only (inet_pton): no octal, hexadecimal or short dotted forms, no scope.
  static std::optional<IpAddress> parse(std::string_view text);

  static constexpr IpAddress loopback4() { return v4(127, 0, 0, 1); }
  static constexpr IpAddress loopback6() {
    IpAddress address;
    address.bytes_.back() = 1;
    return address;
  }

  constexpr bool is_v4() const {
    for (int i = 0; i < 10; ++i)
      if (bytes_[i]) return false;
    return bytes_[10] == 0xff && bytes_[11] == 0xff;
  }
  constexpr bool is_v6() const { return !is_v4(); }
  // Network order: 4 bytes for IPv4, 16 for IPv6.
  const std::uint8_t* data() const { return bytes_.data() + (is_v4() ? 12 : 0); }
  std::size_t size() const { return is_v4() ? 4 : 16; }
  const std::array<std::uint8_t, 16>& mapped() const { return bytes_; }  // always the 16-byte form

  bool is_unspecified() const;  // 0.0.0.0/8 or ::
  bool is_loopback() const;     // 127.0.0.0/8 or ::1
  bool is_link_local() const;   // 169.254.0.0/16 or fe80::/10
  bool is_multicast() const;    // 224.0.0.0/4, ff00::/8, and the limited broadcast 255.255.255.255

  std::string to_string() const;
  auto operator<=>(const IpAddress&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

// A range of addresses: 10.0.0.0/8, fd00::/64. A host address alone is the whole length.
struct Cidr {
  IpAddress address;        // host bits are zero
  std::uint8_t length = 0;  // bits of the address's own family: 0-32 or 0-128

  static std::optional<Cidr> parse(std::string_view text);
  bool contains(const IpAddress& other) const;
  std::string to_string() const;
  bool operator==(const Cidr&) const = default;
};

// An address and a port.
struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;  // host order

  // "10.0.2.2:80", "[fd00::2]:80".
  static std::optional<Endpoint> parse(std::string_view text);
  std::string to_string() const;
  auto operator<=>(const Endpoint&) const = default;
};

// The kernel's form of an endpoint.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = sizeof(sockaddr_storage);

  SocketAddress() = default;
  explicit SocketAddress(const Endpoint& endpoint);
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
  bool is_ip() const { return family() == AF_INET || family() == AF_INET6; }
  Endpoint endpoint() const;  // :: port 0 for other families
};

std::optional<std::uint16_t> parse_port(std::string_view text);  // 1-65535, decimal digits only

}  // namespace nsrun

template <>
struct std::hash<nsrun::IpAddress> {
  std::size_t operator()(const nsrun::IpAddress& address) const noexcept;
};
