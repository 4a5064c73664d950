#include <catch2/catch.hpp>
#include <string>

#include "host/names/canonical_name.h"

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
