#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include "tests/support/catch.h"

#include "container/command/descendants.h"
#include "runtime/command.h"

using namespace nsrun;

TEST_CASE("a child is found both through the kernel's list and by reading all of /proc") {
  Command command;
  command.run = [] { return ::pause(); };
  auto child = start(command);
  REQUIRE(child.has_value());
  const Descendants ours;
  for (const auto& found : {ours.children(), children_by_scan()})
    CHECK(std::count(found.begin(), found.end(), child->pid()) == 1);
  child->kill(SIGKILL);
  child->wait();
  CHECK(ours.children().size() == children_by_scan().size());
}
