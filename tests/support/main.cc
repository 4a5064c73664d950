// The main of each test program. One that skipped a test and failed none ends with a status of its own, by which
// ctest tells it from one that passed. (The words on its output would not do: a failing test may print them, too.)
#define CATCH_CONFIG_RUNNER
#include "tests/support/container_skip.h"

#include "tests/support/catch.h"

bool nsrun::any_test_skipped = false;

int main(int argc, char** argv) {
  constexpr int skipped = 77;  // SKIP_RETURN_CODE in tests/CMakeLists.txt
  const int result = Catch::Session().run(argc, argv);
  if (result == 0 && nsrun::any_test_skipped) return skipped;
  return result == skipped ? 1 : result;
}
