#include "tests/support/catch.h"
#include "tests/support/stack_world.h"

// Flows that are cut on the fast path: a splice has them, and no task.

using namespace nsrun;
using namespace nsrun::test;

namespace {

void cut_first(StackWorld& world) {
  LiveFlows::Walk walk(world.flows);
  FlowRecord* flow = walk.next();
  REQUIRE(flow);
  flow->cut("the test says so");
}

}  // namespace

TEST_CASE("a spliced connection that is cut is reset both ways, at once") {
  StackWorld world({Path::fast});
  auto [guest, far] = world.connected();
  guest.send(octets("some"));
  REQUIRE(world.until([&, &far = far] { return far->read(), far->received.size() == 4; }));
  cut_first(world);
  CHECK(world.until([&, &guest = guest, &far = far] { return far->read(), guest.got_reset && far->broken; }));
  CHECK(world.ends == std::vector{FlowEnd::policy});
  CHECK(world.stack->flows() == 0);
}

TEST_CASE("a spliced connection with bytes under way both ways is cut without waiting for them") {
  StackWorld world({Path::fast});
  auto [guest, far] = world.connected();
  far->send(Octets(1 << 20));
  guest.send(Octets(1'000));
  cut_first(world);
  CHECK(world.until([&, &guest = guest] { return guest.got_reset; }));
  CHECK(world.ends == std::vector{FlowEnd::policy});
}
