#include <string>
#include "tests/support/catch.h"

#include "host/text/canonical_name.h"

using namespace nsrun;
using namespace std::string_view_literals;

TEST_CASE("every way to write a name gives one canonical form") {
  for (const auto text : {"example.org", "Example.ORG", "EXAMPLE.org."}) {
    CAPTURE(text);
    CHECK(*canonical_name(text) == "example.org");
  }
}

TEST_CASE("service labels and encoded international names are names") {
  for (const auto text : {"_dmarc.example.org", "xn--bcher-kva.example", "*.example.org", "localhost"})
    CHECK(*canonical_name(text) == text);
}

TEST_CASE("a host's name is letters, digits, hyphens and underscores, and does not read as an address") {
  for (const auto text : {"example.org", "_dmarc.example.org", "xn--bcher-kva.example", "localhost",
                          "1.example", "0x1.example"})
    CHECK(is_host_name(text));
  for (const auto text :
       {"127.0.0.1", "127.1", "2130706433", "0x7f.1", "a.0x7f", "::1", "fe80::1%lo", "a:80.example",
        "a/b.example", "u@b.example", "*.example.org", "a,b.example", "[a].example", ""})
    CHECK_FALSE(is_host_name(text));
}

TEST_CASE("what is no host name has no canonical form") {
  const auto text =
      GENERATE(""sv, "."sv, "a..b"sv, ".a"sv, "a.."sv, "a b"sv, " a"sv, "a\0b"sv, "a\n"sv, "a\x7f"sv,
               "b\xc3\xbc"
               "cher.example"sv,
               "a\\.b"sv);
  CAPTURE(text);
  const auto name = canonical_name(text);
  REQUIRE_FALSE(name.has_value());
  CHECK(name.error().message().find("as a host name") != std::string::npos);
}

TEST_CASE("a label has at most 63 characters") {
  CHECK(canonical_name(std::string(63, 'a') + ".org").has_value());
  CHECK_FALSE(canonical_name(std::string(64, 'a') + ".org").has_value());
  CHECK_FALSE(canonical_name("org." + std::string(64, 'a')).has_value());
}

TEST_CASE("a name has at most 253 characters, its trailing dot not counted") {
  const std::string label(63, 'a');
  const std::string longest = label + '.' + label + '.' + label + '.' + std::string(61, 'a');
  REQUIRE(longest.size() == 253);
  CHECK(canonical_name(longest).has_value());
  CHECK(canonical_name(longest + '.').has_value());
  CHECK_FALSE(canonical_name(longest + 'a').has_value());
}
