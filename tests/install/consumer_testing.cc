// A test of somebody else's: a program in a world of functions.

#include <nsrun/testing/world.h>

#include <cstdio>

int main() try {
  nsrun::testing::World world;
  world.on("*", [](std::unique_ptr<nsrun::Connection>) -> nsrun::Task<> { co_return; });
  const auto outcome = world.run({"echo", "the world is there"});
  std::fputs(outcome.out.c_str(), stdout);
  return outcome.status;
} catch (const nsrun::ErrorException& failure) {
  std::fprintf(stderr, "%s\n", failure.what());
  return static_cast<int>(failure.error().exit);
}
