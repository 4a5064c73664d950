// Warnings that a peer causes are bounded, and what was left out is said.

#include <vector>

#include "host/carry/limited_warnings.h"
#include "tests/support/catch.h"

using namespace nsrun;

namespace {

struct Heard final : Events {
  void warning(const std::string& what) override { all.push_back(what); }
  std::vector<std::string> all;
};

}  // namespace

TEST_CASE("a flood of warnings is a few, and then one in a while that counts the rest") {
  Heard heard;
  Ledger ledger(heard);
  LimitedWarnings warnings(ledger);
  const auto now = Clock::now();
  for (int i = 0; i < 100'000; ++i) warnings.report("a bad message", now);
  CHECK(heard.all.size() == LimitedWarnings::at_once);
  warnings.report("another", now + LimitedWarnings::one_in + 1s);
  REQUIRE(heard.all.size() == LimitedWarnings::at_once + 1);
  CHECK(heard.all.back() == "another (99980 similar warnings were not reported)");
  for (int i = 0; i < 100; ++i) warnings.report("after an hour", now + 1h);
  CHECK(heard.all.size() == 2 * LimitedWarnings::at_once + 1);
}
