#include "tests/support/catch.h"

#include "host/flow/recent_names.h"

using namespace nsrun;

namespace {

IpAddress numbered_name(std::size_t n) {
  return IpAddress::v4(10, static_cast<std::uint8_t>(n >> 16), static_cast<std::uint8_t>(n >> 8),
                       static_cast<std::uint8_t>(n));
}

}  // namespace

TEST_CASE("an address is called by the last name that it was given for") {
  RecentNames names;
  CHECK(names.name_of(numbered_name(1)).empty());
  names.remember(numbered_name(1), "a.example");
  names.remember(numbered_name(1), "b.example");
  CHECK(names.name_of(numbered_name(1)) == "b.example");
}

TEST_CASE("the address that has gone unused the longest is forgotten first") {
  RecentNames names;
  for (std::size_t i = 0; i < RecentNames::capacity; ++i) names.remember(numbered_name(i), "a.example");
  CHECK_FALSE(names.name_of(numbered_name(0)).empty());
  names.remember(numbered_name(RecentNames::capacity), "b.example");
  CHECK_FALSE(names.name_of(numbered_name(0)).empty());
  CHECK(names.name_of(numbered_name(1)).empty());
}
