#include "tests/support/catch.h"

#include "host/names/reverse_name.h"

using namespace nsrun;

TEST_CASE("reverse names give their addresses") {
  CHECK(parse_reverse_name("1.0.18.198.in-addr.arpa") == IpAddress::v4(198, 18, 0, 1));
  CHECK(parse_reverse_name("b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa") ==
        IpAddress::parse("4321:0:1:2:3:4:567:89ab"));
}

TEST_CASE("names that are not an address's have none") {
  const auto name = GENERATE(
      "", "in-addr.arpa", ".in-addr.arpa", "18.198.in-addr.arpa", "1.2.3.4.5.in-addr.arpa",
      "256.0.18.198.in-addr.arpa", "01.0.18.198.in-addr.arpa", "::1.in-addr.arpa", "ip6.arpa", "1.ip6.arpa",
      "example.org", "g.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa");
  CAPTURE(name);
  CHECK_FALSE(parse_reverse_name(name));
}
