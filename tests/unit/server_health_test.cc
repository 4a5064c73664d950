#include "host/names/server_health.h"

#include "tests/support/catch.h"

using namespace nsrun;

namespace {

Target server(std::uint8_t last, Protocol protocol = Protocol::udp) {
  return {protocol, {IpAddress::v4(192, 0, 2, last), 53}, {}};
}

// The last byte of each address, in the order in which the servers are asked.
std::vector<int> asked(ServerHealth& health, Clock::time_point now) {
  std::vector<int> order;
  for (const auto& choice : health.order({server(1), server(2), server(3)}, 5s, now))
    order.push_back(choice.server.endpoint.address.data()[3]);
  return order;
}

constexpr Clock::time_point began{};

}  // namespace

TEST_CASE("servers are asked in their order, and silent ones after the others") {
  ServerHealth health;
  CHECK(asked(health, began) == std::vector{1, 2, 3});
  health.was_silent(server(1), began);
  CHECK(asked(health, began + 1s) == std::vector{2, 3, 1});
  health.was_silent(server(2), began);
  health.was_silent(server(3), began);
  CHECK(asked(health, began + 1s) == std::vector{1, 2, 3});
}

TEST_CASE("a server that answers again is asked in its order again") {
  ServerHealth health;
  health.was_silent(server(1), began);
  health.answered(server(1));
  CHECK(asked(health, began) == std::vector{1, 2, 3});
}

TEST_CASE("after a while one query tries a silent server again, with less patience") {
  ServerHealth health;
  health.was_silent(server(1), began);
  const auto later = began + ServerHealth::retry_after;
  const auto retry = health.order({server(1), server(2)}, 5s, later);
  CHECK(retry[0].server.endpoint == server(1).endpoint);
  CHECK(retry[0].patience == ServerHealth::patience_at_retry);
  CHECK(asked(health, later) == std::vector{2, 3, 1});
}

TEST_CASE("a server that is silent over TCP is still asked first over UDP") {
  ServerHealth health;
  health.was_silent(server(1, Protocol::tcp), began);
  CHECK(asked(health, began) == std::vector{1, 2, 3});
}

TEST_CASE("patience is not longer than resolv.conf's timeout") {
  ServerHealth health;
  CHECK(health.order({server(1)}, 20ms, began)[0].patience == 20ms);
  CHECK(health.order({server(1)}, 5s, began)[0].patience == ServerHealth::patience);
}
