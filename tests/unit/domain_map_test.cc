#include "host/services/proxy/domain_map.h"

#include "tests/support/catch.h"

#include "host/http/authority.h"

using namespace nsrun;

namespace {

std::string one_form(const std::string& text, std::uint16_t port = 0) {
  const auto authority = Authority::parse(text, port);
  return authority ? authority->to_string() : "none";
}

}  // namespace

TEST_CASE("a host and a port have one form however they are written") {
  CHECK(one_form("Example.ORG.:80") == "example.org:80");
  CHECK(one_form("192.0.2.1:8080") == "192.0.2.1:8080");
  CHECK(one_form("[2001:DB8:0::1]:443") == "[2001:db8::1]:443");
  CHECK(one_form("[::ffff:192.0.2.1]:80") == "192.0.2.1:80");
  CHECK(one_form("example.org", 443) == "example.org:443");
  CHECK(one_form("example.org:", 80) == "example.org:80");
  CHECK(one_form("[::1]", 80) == "[::1]:80");
}

TEST_CASE("what is no host and port is none") {
  for (const auto* text : {"", ":80", "example.org", "example.org:", "example.org:0", "example.org:65536",
                           "example.org:80x", "::1:80", "[::1:80", "[::1]80", "[example.org]:80",
                           "user@example.org:80", "exa mple.org:80", "example.org:80:81", "[]:80"}) {
    CAPTURE(text);
    CHECK(one_form(text) == "none");
  }
  CHECK(one_form("", 80) == "none");
  CHECK(one_form("user@example.org", 80) == "none");
}

TEST_CASE("a place is found exactly: its host in any form, its port") {
  DomainMap map;
  const int session = 0;
  REQUIRE(map.add(&session, "Internal.example:8080", 9000));
  CHECK(map.find("internal.example.:8080") == 9000);
  CHECK_FALSE(map.find("internal.example:80"));
  CHECK_FALSE(map.find("www.internal.example:8080"));
  CHECK_FALSE(map.find("internal.example"));
  CHECK_FALSE(map.add(&session, "no port", 9000));
}

TEST_CASE("a place ends with its owner, and is then the next one's who offered it") {
  DomainMap map;
  const int first = 0, second = 0;
  REQUIRE(map.add(&first, "db.example:5432", 9000));
  REQUIRE(map.add(&second, "db.example:5432", 9001));
  REQUIRE(map.add(&first, "www.example:80", 9002));
  CHECK(map.find("db.example:5432") == 9000);
  map.remove(&first, 9000);
  CHECK(map.find("db.example:5432") == 9001);
  CHECK(map.find("www.example:80") == 9002);
  map.remove(&first);
  CHECK_FALSE(map.find("www.example:80"));
  map.remove(&second);
  CHECK_FALSE(map.find("db.example:5432"));
}
