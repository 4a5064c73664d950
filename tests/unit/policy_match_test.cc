#include "tests/support/catch.h"

#include "host/policy/make_rule.h"
#include "host/policy/match.h"
#include "host/policy/reachability.h"

using namespace nsrun;

namespace {

std::string advice(std::string_view text) {
  const auto match = Match::parse(text);
  return match ? "it is fine" : match.error().message();
}

}  // namespace

TEST_CASE("a match is written as it is read") {
  for (const char* text : {"*",
                           "*:25",
                           "github.com",
                           "github.com:443",
                           "*.example.org",
                           "*.example.org:8000-8009",
                           "10.0.0.0/8",
                           "10.1.2.3",
                           "10.1.2.3:22",
                           "fd00::/64",
                           "2001:db8::1",
                           "[2001:db8::1]:443",
                           "[fd00::/64]:53",
                           "tcp/github.com:443",
                           "udp/192.0.2.7:123",
                           "icmp/192.0.2.1",
                           "tls/*",
                           "http/intranet.example:80",
                           "dns/example.org",
                           "dns/*.example.org",
                           "dns/*"}) {
    const auto match = Match::parse(text);
    REQUIRE(match.has_value());
    CHECK(match->to_string() == text);
  }
}

TEST_CASE("names in a match have their canonical form") {
  CHECK(Match::parse("GitHub.COM.")->name == "github.com");
  CHECK(Match::parse("*.Example.ORG")->name == "example.org");
  CHECK(Match::parse("::ffff:10.0.0.1")->network.address == IpAddress::v4(10, 0, 0, 1));
}

TEST_CASE("what is no match says what was expected") {
  CHECK_THAT(advice(""), Catch::Contains("names no host"));
  CHECK_THAT(advice("tcp/:443"), Catch::Contains("names no host"));
  CHECK_THAT(advice("github.com:http"), Catch::Contains("1 to 65535"));
  CHECK_THAT(advice("github.com:0"), Catch::Contains("1 to 65535"));
  CHECK_THAT(advice("github.com:90-80"), Catch::Contains("FIRST-LAST"));
  CHECK_THAT(advice("a.*.example"), Catch::Contains("*.example.org"));
  CHECK_THAT(advice("*example.org"), Catch::Contains("*.example.org"));
  CHECK_THAT(advice("127.1"), Catch::Contains("in full"));
  CHECK_THAT(advice("0x7f.1"), Catch::Contains("in full"));
  CHECK_THAT(advice("2130706433"), Catch::Contains("in full"));
  CHECK_THAT(advice("10.0.0.0/33"), Catch::Contains("10.0.0.0/8"));
  CHECK_THAT(advice("icmp/example.org:80"), Catch::Contains("without ports"));
  CHECK_THAT(advice("dns/example.org:53"), Catch::Contains("dns/NAME"));
  CHECK_THAT(advice("dns/10.0.0.1"), Catch::Contains("dns/NAME"));
  CHECK_THAT(advice(std::string_view("a\0b", 3)), Catch::Contains("usable"));
  CHECK_THAT(advice("git hub.com"), Catch::Contains("usable"));
  // A rule that matches nothing would be a denial that denies nothing.
  CHECK_THAT(advice("ads.example,tracker.example"), Catch::Contains("a rule of its own"));
  CHECK_THAT(advice("user@example.org"), Catch::Contains("usable"));
}

TEST_CASE("rules that make no sense are refused with a reason") {
  CHECK_THAT(make_redirect("a.example", "nowhere:").error().message(), Catch::Contains("HOST[:PORT]"));
  CHECK_THAT(make_redirect("a.example", "10.0.0.0/8").error().message(), Catch::Contains("HOST[:PORT]"));
  for (const char* place : {"0.0.0.0", "0.0.0.0:80", "::", "[::]:80", "::ffff:0.0.0.0"})
    CHECK_THAT(make_redirect("a.example", place).error().message(), Catch::Contains("127.0.0.1"));
  CHECK_THAT(make_redirect("dns/a.example", "b.example").error().message(), Catch::Contains("dns/"));
  CHECK_THAT(make_rule(Action::log, "dns/a.example").error().message(), Catch::Contains("dns/"));
  CHECK_THAT(parse_default("perhaps").error().message(), Catch::Contains("allow, deny, reject or ask"));
  CHECK(make_rule(Action::deny, "dns/a.example").has_value());
}

TEST_CASE("a dialer's password is in no message and no text of a rule") {
  const auto wrong = make_via("gopher://anna:secret@proxy", "*");
  CHECK_THAT(wrong.error().message(), !Catch::Contains("secret"));
  CHECK(wrong.error().exit == ExitCode::usage);
  const auto right = make_via("socks5h://anna:secret@proxy:1080", "*.example.org");
  REQUIRE(right.has_value());
  CHECK_THAT(right->to_string(), !Catch::Contains("secret"));
  CHECK(right->via == "socks5h://anna:secret@proxy:1080");
}

TEST_CASE("protected are loopback, link-local, multicast, metadata and unspecified addresses") {
  for (const char* text : {"127.0.0.1", "127.255.0.1", "::1", "169.254.169.254", "fe80::1", "224.0.0.1",
                           "255.255.255.255", "0.0.0.0", "::", "fd00:ec2::254", "::ffff:127.0.0.1"})
    CHECK(is_protected(*IpAddress::parse(text)));
  for (const char* text : {"192.0.2.1", "10.0.0.1", "2001:db8::1", "fd00::1"})
    CHECK_FALSE(is_protected(*IpAddress::parse(text)));
  CHECK(is_protected(*Cidr::parse("127.0.0.0/8")));
  CHECK(is_protected(*Cidr::parse("169.254.169.254")));
  CHECK_FALSE(is_protected(*Cidr::parse("0.0.0.0/0")));
  CHECK_FALSE(is_protected(*Cidr::parse("126.0.0.0/7")));
}
