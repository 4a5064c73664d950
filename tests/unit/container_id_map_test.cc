#include "tests/support/catch.h"

#include "runtime/id_map.h"

using namespace nsrun;

TEST_CASE("an account's subordinate ranges are found by its name and by its uid") {
  constexpr auto file = "alice:100000:65536\nbob:200000:65536\n1000:300000:10\n";
  const auto ranges = subordinate_ranges(file, "alice", 1000);
  REQUIRE(ranges.size() == 2);
  CHECK(ranges[0].first == 100000);
  CHECK(ranges[0].count == 65536);
  CHECK(ranges[1].first == 300000);
  CHECK(ranges[1].count == 10);
}

TEST_CASE("lines of subuid that are no ranges are passed over") {
  constexpr auto file =
      "# alice:1:2\n\nalice\nalice:5\nalice:x:5\nalice:5:\nalice:7:0\nalice:5:6:7\n:1:2\nalice:9:1";
  const auto ranges = subordinate_ranges(file, "alice", 1000);
  REQUIRE(ranges.size() == 1);
  CHECK(ranges[0].first == 9);
  CHECK(subordinate_ranges(file, "", 1000).empty());
}

TEST_CASE("a single id is mapped as itself or as root") {
  CHECK(map_lines(1000, false, {}) == "1000 1000 1\n");
  CHECK(map_lines(1000, true, {}) == "0 1000 1\n");
}

TEST_CASE("as root inside, the subordinate ids follow from 1") {
  CHECK(map_lines(1000, true, {{100000, 65536}, {300000, 10}}) ==
        "0 1000 1\n1 100000 65536\n65537 300000 10\n");
}

TEST_CASE("with one's own id kept, the subordinate ids fill in around it") {
  CHECK(map_lines(1000, false, {{100000, 65536}}) == "1000 1000 1\n0 100000 1000\n1001 101000 64536\n");
  CHECK(map_lines(1000, false, {{100000, 600}, {200000, 400}, {300000, 5}}) ==
        "1000 1000 1\n0 100000 600\n600 200000 400\n1001 300000 5\n");
}

TEST_CASE("the identity map names every id one has") {
  CHECK(identity_lines("         0          0 4294967295\n") == "0 0 4294967295\n");
  CHECK(identity_lines("0 1000 1\n1 100000 65536\n") == "0 0 1\n1 1 65536\n");
}

TEST_CASE("setgroups is denied for a map of one id only") {
  CHECK(is_single("1000 1000 1\n"));
  CHECK_FALSE(is_single("0 0 4294967295\n"));
  CHECK_FALSE(is_single("0 1000 1\n1 100000 65536\n"));
  CHECK_FALSE(is_single(""));
}
