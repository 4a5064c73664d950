#include "runtime/descriptor_reserve.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/catch.h"

using namespace nsrun;

namespace {

// How many more descriptors this process can have; it keeps them.
int take_all() {
  int taken = 0;
  while (::dup(STDERR_FILENO) >= 0) ++taken;
  return taken;
}

// In a process of its own, since limits are a process's. What a step found goes out as the status.
int in_child(int (*body)()) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void limit_to(rlim_t most) {
  const rlimit limit{most, most};
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

TEST_CASE("when all descriptors are taken, the reserve is there for whoever uses it, and for nobody else") {
  const int seen = in_child([] {
    limit_to(300);
    keep_descriptor_reserve();
    if (take_all() < 200) return 1;
    if (::dup(STDERR_FILENO) >= 0) return 2;
    {
      const UseDescriptorReserve reserve;
      if (::dup(STDERR_FILENO) < 0) return 3;
    }
    if (::dup(STDERR_FILENO) >= 0) return 4;
    const UseDescriptorReserve reserve;
    return take_all() == static_cast<int>(descriptor_reserve) - 1 ? 0 : 5;
  });
  CHECK(seen == 0);
}

TEST_CASE("a small limit of descriptors has no reserve") {
  const int seen = in_child([] {
    limit_to(60);
    keep_descriptor_reserve();
    take_all();
    const UseDescriptorReserve reserve;
    return ::dup(STDERR_FILENO) < 0 ? 0 : 1;
  });
  CHECK(seen == 0);
}
