#include "tests/support/catch.h"

#include "runtime/address.h"

using namespace nsrun;

namespace {

bool contains(std::string_view range, std::string_view address) {
  const auto cidr = Cidr::parse(range);
  const auto ip = IpAddress::parse(address);
  INFO(range << " " << address);
  REQUIRE(cidr);
  REQUIRE(ip);
  return cidr->contains(*ip);
}

}  // namespace

TEST_CASE("a range contains the addresses that share its leading bits") {
  CHECK(contains("10.0.0.0/8", "10.255.255.255"));
  CHECK_FALSE(contains("10.0.0.0/8", "11.0.0.0"));
  CHECK(contains("172.16.0.0/12", "172.31.255.255"));
  CHECK_FALSE(contains("172.16.0.0/12", "172.32.0.0"));
  CHECK(contains("192.0.2.7/31", "192.0.2.6"));
  CHECK_FALSE(contains("192.0.2.7/31", "192.0.2.8"));
  CHECK(contains("fd00::/64", "fd00::ffff:ffff:ffff:ffff"));
  CHECK_FALSE(contains("fd00::/64", "fd00:0:0:1::"));
  CHECK(contains("fe80::/10", "febf::1"));
}

TEST_CASE("an address alone is a range of one") {
  CHECK(contains("192.0.2.1", "192.0.2.1"));
  CHECK_FALSE(contains("192.0.2.1", "192.0.2.0"));
  CHECK(Cidr::parse("192.0.2.1")->length == 32);
  CHECK(Cidr::parse("fd00::1")->length == 128);
}

TEST_CASE("a range of everything stays in its family") {
  CHECK(contains("0.0.0.0/0", "255.255.255.255"));
  CHECK_FALSE(contains("0.0.0.0/0", "::1"));
  CHECK(contains("::/0", "2001:db8::1"));
  CHECK_FALSE(contains("::/0", "10.0.0.1"));
}

TEST_CASE("a mapped address is in the IPv4 ranges, and a mapped range is one") {
  CHECK(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
  CHECK(Cidr::parse("::ffff:10.0.0.0/104") == Cidr::parse("10.0.0.0/8"));
  CHECK(Cidr::parse("::ffff:0:0/96") == Cidr::parse("0.0.0.0/0"));
  CHECK_FALSE(Cidr::parse("::ffff:0:0/95"));  // half inside one family, half inside the other
}

TEST_CASE("host bits are cleared, so a range has one form") {
  CHECK(Cidr::parse("10.1.2.3/8") == Cidr::parse("10.0.0.0/8"));
  CHECK(Cidr::parse("10.1.2.3/8")->to_string() == "10.0.0.0/8");
  CHECK(Cidr::parse("2001:db8:ffff::1/33")->to_string() == "2001:db8:8000::/33");
  CHECK(Cidr::parse("10.1.2.3/0")->to_string() == "0.0.0.0/0");
}

TEST_CASE("what is not a range is refused") {
  for (const char* text :
       {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "fd00::/129", "10.0.0.0/-1", "10.0.0.0/8 ", "10.0.0.0/0x8",
        "10.0.0/8", "10.0.0.0/8/8", "10.0.0.0/4294967304"}) {
    INFO(text);
    CHECK_FALSE(Cidr::parse(text));
  }
}
