#include "host/names/fair_semaphore.h"

#include "tests/support/catch.h"
#include "tests/support/dialers_loop.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

struct TurnWorld {
  Loop loop;
  FairSemaphore places{loop.executor(), 1, 8};
  std::vector<std::string> served;
  const int first = 0, second = 0;  // two askers

  Task<> wait_as(std::string name, FairSemaphore::Asker asker) {
    const auto place = co_await places.take(asker);
    served.push_back(place ? name : name + " turned away");
  }
};

Task<> turns(TurnWorld& world) {
  auto place = co_await world.places.take(&world.first);
  for (const char* name : {"first 1", "first 2", "first 3"})
    world.loop.beside.spawn(world.wait_as(name, &world.first));
  world.loop.beside.spawn(world.wait_as("second", &world.second));
  for (int turn = 0; turn < 5; ++turn) co_await give_way();
  CHECK(world.served.empty());
  place.reset();
  co_await world.loop.beside.join();
  CHECK(world.served == std::vector<std::string>{"first 1", "second", "first 2", "first 3"});
}

Task<> leaves(TurnWorld& world) {
  auto place = co_await world.places.take(&world.first);
  Scope impatient(world.loop.executor());
  impatient.spawn(world.wait_as("gone", &world.first));
  for (int turn = 0; turn < 5; ++turn) co_await give_way();
  world.loop.beside.spawn(world.wait_as("second", &world.second));
  for (int turn = 0; turn < 5; ++turn) co_await give_way();
  SECTION("before its turn") { co_await impatient.cancel_and_join(); }
  SECTION("as it gets its turn") {
    place.reset();
    co_await impatient.cancel_and_join();
  }
  place.reset();
  co_await world.loop.beside.join();
  CHECK(world.served == std::vector<std::string>{"second"});
  CHECK(world.places.try_take());
}

Task<> bound(TurnWorld& world) {
  auto place = co_await world.places.take(&world.first);
  for (int i = 0; i < 9; ++i) world.loop.beside.spawn(world.wait_as("waiter", &world.first));
  for (int turn = 0; turn < 5; ++turn) co_await give_way();
  CHECK(world.served == std::vector<std::string>{"waiter turned away"});
  place.reset();
  co_await world.loop.beside.join();
  CHECK(world.served.size() == 9);
}

}  // namespace

TEST_CASE("askers that wait for places get them in turn") {
  TurnWorld world;
  world.loop.run(turns(world));
}

TEST_CASE("a caller that leaves the queue keeps no place") {
  TurnWorld world;
  world.loop.run(leaves(world));
}

TEST_CASE("past the bound of waiting callers a place is refused at once") {
  TurnWorld world;
  world.loop.run(bound(world));
}
