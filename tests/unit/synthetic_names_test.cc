#include "host/names/synthetic_names.h"

#include <algorithm>
#include <set>
#include "tests/support/catch.h"

using namespace nsrun;

TEST_CASE("a name's synthetic addresses lead back to it") {
  SyntheticNames names;
  const auto v4 = names.v4_for("a.example");
  const auto v6 = names.v6_for("a.example");
  CHECK(Cidr::parse("198.18.0.0/15")->contains(v4));
  CHECK(Cidr::parse("fd6e:7372:756e::/64")->contains(v6));
  CHECK(SyntheticNames::covers(v4));
  CHECK(SyntheticNames::covers(v6));
  CHECK(names.name_of(v4) == "a.example");
  CHECK(names.name_of(v6) == "a.example");
}

TEST_CASE("a name keeps its addresses, and no other has them") {
  SyntheticNames names;
  const auto first = names.v4_for("a.example");
  CHECK(names.v4_for("b.example") != first);
  CHECK(names.v4_for("a.example") == first);
}

TEST_CASE("addresses that stand for no name have none") {
  SyntheticNames names;
  names.v4_for("a.example");
  const auto text =
      GENERATE("198.18.0.0", "198.18.0.1", "198.18.1.1", "198.19.255.255", "198.20.0.0", "8.8.8.8",
               "fd6e:7372:756e::", "fd6e:7372:756e::1", "fd6e:7372:756e:0:1::1:0", "::", "2001:db8::1");
  CAPTURE(text);
  CHECK_FALSE(names.name_of(*IpAddress::parse(text)));
}

TEST_CASE("65,536 names have as many addresses, all within the ranges") {
  SyntheticNames names;
  std::set<IpAddress> addresses;
  for (std::size_t i = 0; i < SyntheticNames::max_names; ++i) {
    const auto name = std::to_string(i) + ".example";
    addresses.insert(names.v4_for(name));
    addresses.insert(names.v6_for(name));
  }
  CHECK(addresses.size() == 2 * SyntheticNames::max_names);
  CHECK(std::all_of(addresses.begin(), addresses.end(), SyntheticNames::covers));
  CHECK(names.name_of(*IpAddress::parse("198.19.0.255")) == "65535.example");
}

TEST_CASE("when all addresses are taken, the one unused the longest gets a new name") {
  SyntheticNames names(3);
  const auto a = names.v4_for("a.example");
  const auto b = names.v4_for("b.example");
  const auto c = names.v4_for("c.example");
  names.v4_for("a.example");  // asked again
  names.name_of(b);           // a flow arrived
  CHECK(names.v4_for("d.example") == c);
  CHECK(names.name_of(c) == "d.example");
  CHECK(names.name_of(a) == "a.example");
  CHECK(names.name_of(b) == "b.example");
  CHECK(names.v4_for("c.example") == c);  // until now d.example's
}

TEST_CASE("names take an eighth of the memory at most, and give it back") {
  MemoryBudget memory(64 * SyntheticNames::name_cost);
  {
    SyntheticNames names(SyntheticNames::max_names, &memory);
    const auto first = names.v4_for("0.example");
    for (int i = 1; i < 100; ++i) names.v4_for(std::to_string(i) + ".example");
    CHECK(memory.used() == 8 * SyntheticNames::name_cost);
    CHECK(names.name_of(first) != "0.example");
    CHECK(names.name_of(names.v4_for("99.example")) == "99.example");
  }
  CHECK(memory.used() == 0);
}

TEST_CASE("where memory is used up a new name takes the place of another") {
  MemoryBudget memory(64 * SyntheticNames::name_cost);
  memory.take_always(memory.limit());
  SyntheticNames names(SyntheticNames::max_names, &memory);
  const auto first = names.v4_for("a.example");
  CHECK(names.name_of(first) == "a.example");
  CHECK(names.v4_for("b.example") == first);
  CHECK(names.name_of(first) == "b.example");
}
