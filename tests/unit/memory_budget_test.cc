#include "runtime/memory_budget.h"

#include <optional>
#include <thread>
#include <vector>

#include "tests/support/catch.h"

using namespace nsrun;

namespace {
constexpr std::size_t mib = 1 << 20;
}

TEST_CASE("a budget refuses new flows first, then more for flows that hold something, then everything") {
  MemoryBudget budget(80 * mib);
  REQUIRE(budget.take(60 * mib, MemoryUse::new_flow));
  CHECK_FALSE(budget.take(1, MemoryUse::new_flow));
  REQUIRE(budget.take(10 * mib, MemoryUse::ahead));
  CHECK_FALSE(budget.take(1, MemoryUse::ahead));
  REQUIRE(budget.take(10 * mib, MemoryUse::progress));
  CHECK_FALSE(budget.take(1, MemoryUse::progress));
  CHECK(budget.used() == 80 * mib);
  budget.give_back(21 * mib);
  CHECK(budget.take(1 * mib, MemoryUse::new_flow));
}

TEST_CASE("a refused request takes nothing from the budget") {
  MemoryBudget budget(16 * mib);
  MemoryShare share(budget);
  CHECK_FALSE(share.take(17 * mib, MemoryUse::progress));
  CHECK(budget.used() == 0);
  MemoryCharge charge(&share);
  REQUIRE(charge.add(1000, MemoryUse::new_flow));
  CHECK_FALSE(charge.add(16 * mib, MemoryUse::new_flow));
  CHECK(charge.bytes() == 1000);
}

TEST_CASE("a share draws from its budget in blocks and gives them back") {
  MemoryBudget budget(16 * mib);
  {
    MemoryShare share(budget);
    REQUIRE(share.take(100, MemoryUse::new_flow));
    CHECK(budget.used() == MemoryShare::block + 100);
    const auto drawn = budget.used();
    REQUIRE(share.take(1000, MemoryUse::new_flow));
    CHECK(budget.used() == drawn);  // from the block that is there
    share.take_always(4 * mib);
    share.give_back(4 * mib + 1100);
    CHECK(budget.used() <= 3 * MemoryShare::block);
  }
  CHECK(budget.used() == 0);
}

TEST_CASE("a budget that is nearly full grants what is left, without a whole block") {
  MemoryBudget budget(16 * mib);
  budget.take_always(16 * mib - 10);
  MemoryShare share(budget);
  CHECK_FALSE(share.take(11, MemoryUse::progress));
  CHECK(share.take(10, MemoryUse::progress));
  share.give_back(10);
}

TEST_CASE("what is charged is given back once, by whoever holds the charge last") {
  MemoryBudget budget(16 * mib);
  {
    MemoryShare share(budget);
    std::optional<MemoryCharge> first(&share);
    first->add_always(5000);
    MemoryCharge second = std::move(*first);
    first.reset();
    CHECK(second.bytes() == 5000);
    second = MemoryCharge(&share);
    CHECK(second.bytes() == 0);
  }
  CHECK(budget.used() == 0);
}

TEST_CASE("a charge without a share is granted everything") {
  MemoryCharge charge;
  CHECK(charge.add(std::size_t{1} << 40, MemoryUse::new_flow));
}

TEST_CASE("several loops together never draw more than their budget has") {
  MemoryBudget budget(16 * mib);
  std::vector<std::thread> loops;
  std::atomic<bool> exceeded = false;
  for (int i = 0; i < 4; ++i)
    loops.emplace_back([&] {
      MemoryShare share(budget);
      for (int round = 0; round < 200; ++round) {
        std::vector<MemoryCharge> charges;
        for (;;) {
          MemoryCharge charge(&share);
          if (!charge.add(100'000, MemoryUse::progress)) break;
          if (budget.used() > budget.limit()) exceeded = true;
          charges.push_back(std::move(charge));
        }
      }
    });
  for (auto& loop : loops) loop.join();
  CHECK_FALSE(exceeded);
  CHECK(budget.used() == 0);
}
