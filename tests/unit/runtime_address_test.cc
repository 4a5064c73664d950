#include <netinet/in.h>

#include <string>
#include "tests/support/catch.h"

#include "runtime/address.h"

using namespace nsrun;

namespace {

IpAddress ip(std::string_view text) {
  const auto address = IpAddress::parse(text);
  INFO(text);
  REQUIRE(address);
  return *address;
}

std::string written_back(std::string_view text) { return ip(text).to_string(); }

}  // namespace

TEST_CASE("an IPv4 address has one form, however it was written") {
  CHECK(ip("192.0.2.1") == IpAddress::v4(192, 0, 2, 1));
  CHECK(ip("::ffff:192.0.2.1") == IpAddress::v4(192, 0, 2, 1));
  CHECK(ip("::ffff:c000:201") == IpAddress::v4(192, 0, 2, 1));
  CHECK(ip("::ffff:192.0.2.1").is_v4());
  CHECK(std::hash<IpAddress>{}(ip("::ffff:192.0.2.1")) == std::hash<IpAddress>{}(ip("192.0.2.1")));
  CHECK(written_back("::ffff:c000:201") == "192.0.2.1");
}

TEST_CASE("an IPv6 address is written back in the form of RFC 5952") {
  CHECK(written_back("2001:DB8:0:0:0:0:0:1") == "2001:db8::1");
  CHECK(written_back("::") == "::");
  CHECK(ip("2001:db8::1").is_v6());
}

TEST_CASE("only the strict textual forms are addresses") {
  for (const char* text : {"", "1.2.3", "1.2.3.4.5", "01.2.3.4", "0x7f.0.0.1", "2130706433", "256.0.0.1",
                           "1.2.3.4 ", " 1.2.3.4", "1.2.3.-4", "fe80::1%lo", "[::1]", "1::2::3",
                           "12345::", "example.org", "0000:0000:0000:0000:0000:ffff:192.168.100.200:extra"}) {
    INFO(text);
    CHECK_FALSE(IpAddress::parse(text));
  }
  using namespace std::string_view_literals;
  CHECK_FALSE(IpAddress::parse("127.0.0.1\0.example.org"sv));
}

TEST_CASE("the unspecified addresses of both families are different, and both unspecified") {
  CHECK(ip("0.0.0.0") != ip("::"));
  CHECK(ip("0.0.0.0").is_unspecified());
  CHECK(ip("0.1.2.3").is_unspecified());
  CHECK(ip("::").is_unspecified());
  CHECK_FALSE(ip("::1").is_unspecified());
}

TEST_CASE("loopback, link-local and multicast are known in both families and in mapped form") {
  CHECK(ip("127.255.0.1").is_loopback());
  CHECK(ip("::1").is_loopback());
  CHECK(ip("::ffff:127.0.0.1").is_loopback());
  CHECK_FALSE(ip("128.0.0.1").is_loopback());
  CHECK_FALSE(ip("::2").is_loopback());
  CHECK_FALSE(ip("1::1").is_loopback());
  CHECK(ip("169.254.169.254").is_link_local());
  CHECK(ip("febf::1").is_link_local());
  CHECK_FALSE(ip("fec0::1").is_link_local());
  CHECK(ip("224.0.0.1").is_multicast());
  CHECK(ip("239.255.255.255").is_multicast());
  CHECK(ip("255.255.255.255").is_multicast());
  CHECK(ip("ff02::1").is_multicast());
  CHECK_FALSE(ip("240.0.0.1").is_multicast());
}

TEST_CASE("an endpoint is an address and a port, IPv6 in brackets") {
  CHECK(Endpoint::parse("10.0.2.2:80") == Endpoint{IpAddress::v4(10, 0, 2, 2), 80});
  CHECK(Endpoint::parse("[fd00::2]:65535") == Endpoint{ip("fd00::2"), 65535});
  CHECK(Endpoint{ip("fd00::2"), 80}.to_string() == "[fd00::2]:80");
  CHECK(Endpoint{ip("10.0.2.2"), 80}.to_string() == "10.0.2.2:80");
  for (const char* text :
       {"", ":80", "10.0.2.2", "10.0.2.2:", "10.0.2.2:0", "10.0.2.2:65536", "10.0.2.2:+80", "10.0.2.2:80 ",
        "fd00::2:80", "[10.0.2.2]:80", "[fd00::2]", "[fd00::2:80", "[]:80"}) {
    INFO(text);
    CHECK_FALSE(Endpoint::parse(text));
  }
}

TEST_CASE("a port is 1 to 65535 in decimal digits") {
  CHECK(parse_port("1") == 1);
  CHECK(parse_port("65535") == 65535);
  for (const char* text : {"", "0", "65536", "99999", "-1", "+1", " 1", "1 ", "0x10", "123456"}) {
    INFO(text);
    CHECK_FALSE(parse_port(text));
  }
}

TEST_CASE("an endpoint survives the kernel's form") {
  for (const char* text : {"192.0.2.1:443", "[2001:db8::1]:53"}) {
    const auto endpoint = *Endpoint::parse(text);
    const SocketAddress address(endpoint);
    CHECK(address.endpoint() == endpoint);
  }
  const SocketAddress v4(*Endpoint::parse("192.0.2.1:443"));
  CHECK(v4.family() == AF_INET);
  CHECK(v4.length == sizeof(sockaddr_in));
  CHECK(SocketAddress().endpoint() == Endpoint{});
}
