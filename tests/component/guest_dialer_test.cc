// Connections into the sandbox, as a published port opens them.

#include "host/sandbox/guest_dialer.h"
#include "tests/support/catch.h"
#include "tests/support/stack_world.h"

using namespace nsrun;
using namespace nsrun::test;

TEST_CASE("a client without an address of its own gets a port of the gateway that is free") {
  StackWorld world({});
  const NetworkOptions network;
  SandboxSockets sockets(world.context.get_executor(), [](Message) {});
  GuestDialer dialer(world.context.get_executor(), *world.stack, sockets, network);
  Target target;
  target.protocol = Protocol::udp;
  target.endpoint = world.guest(53);
  target.source = {*IpAddress::parse("2001:db8::9"), 4711};  // not of the guest's family
  const auto dial = [](Dialer& through, const Target& where, std::unique_ptr<Connection>& into) -> Task<> {
    auto made = co_await through.dial(where);
    into = made ? std::move(*made) : nullptr;
  };
  std::unique_ptr<Connection> lasting, brief;
  world.scope.spawn(dial(dialer, target, lasting));
  world.rest();
  REQUIRE(lasting);
  // As many as the gateway has ports: the first one comes round again.
  constexpr int ports = 65'536 - 32'768;
  int failed = 0;
  for (int i = 0; i < ports; ++i) {
    brief.reset();
    world.scope.spawn(dial(dialer, target, brief));
    world.rest();
    failed += !brief;
  }
  CHECK(failed == 0);
}
