// Datagram flows outlive the host's address and route: the far ends are the host's own sockets, on links
// whose other side the test plays.
//
//   guest ─► Stack ─► relay ─► socket ─► one 10.1.0.1/24, 2001:db8:1::1/64 ─► (the test)
//                                        two 10.2.0.1/24, 2001:db8:2::1/64 ─► (the test)

#include "runtime/datagram_route.h"

#include "tests/support/catch.h"
#include "tests/support/container_skip.h"
#include "tests/support/outside_links.h"
#include "tests/support/own_network.h"
#include "tests/support/stack_world.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

constexpr std::uint16_t guest_port = 5000, target_port = 53;
constexpr auto patience = 20s;

struct Links {
  OutsideLink one{"one", 1500, {"10.1.0.1/24", "2001:db8:1::1/64"}};
  OutsideLink two{"two", 1500, {"10.2.0.1/24", "2001:db8:2::1/64"}};
  bool made = one.made && two.made && ip("link set lo up") && ip("route add default dev one") &&
              ip("-6 route add default dev one");
};

IpAddress source_of(int link, bool v6) {
  return v6 ? *IpAddress::parse("2001:db8:" + std::to_string(link) + "::1")
            : IpAddress::v4(10, static_cast<std::uint8_t>(link), 0, 1);
}

void send(StackWorld& world, std::string_view payload = "hello") {
  world.device.send({udp_packet(world.guest(guest_port), world.target(target_port), octets(payload))});
}

// The guest sends now and then until something comes out of the link, from this address. What was on its way
// before the change was noticed may have another.
std::optional<Seen> next_on(StackWorld& world, OutsideLink& link, const IpAddress& from) {
  std::optional<Seen> seen;
  auto due = Clock::now();
  const auto came = [&] {
    if (Clock::now() >= due) {
      send(world);
      due = Clock::now() + 50ms;
    }
    do {
      seen = link.take(target_port);
    } while (seen && seen->from != from);
    return seen.has_value();
  };
  world.until(came, patience);
  return seen;
}

// An answer reaches the guest.
bool answered(StackWorld& world, OutsideLink& link, const Seen& question) {
  world.others.clear();
  link.send(udp_packet({question.to, question.to_port}, {question.from, question.from_port}, octets("yes")));
  return world.until([&] { return !world.others.empty() && text(world.others.front().payload) == "yes"; },
                     patience);
}

// A flow that has begun on the first link, whose network then changes. 0: it goes on by the second.
int goes_on(Path path, bool v6, const std::string& change) {
  Links links;
  if (!links.made) return 77;
  StackWorld world({path, v6, true});
  send(world);
  world.dial(world.request());
  const auto first = next_on(world, links.one, source_of(1, v6));
  if (!first || !answered(world, links.one, *first)) return 1;
  if (std::system(change.c_str()) != 0) return 77;
  const auto second = next_on(world, links.two, source_of(2, v6));
  if (!second) return 2;
  if (!answered(world, links.two, *second)) return 3;
  return world.requests.empty() && world.stack->flows() == 1 ? 0 : 4;
}

void expect_success(int status) {
  if (status == 77 && skip("links cannot be made in a network namespace here")) return;
  CHECK(status == 0);
}

}  // namespace

TEST_CASE("a UDP flow goes on when the host's address and route are replaced") {
  const auto path = GENERATE(Path::fast, Path::generic);
  expect_success(in_own_network([&] {
    return goes_on(path, false, "ip address del 10.1.0.1/24 dev one && ip route replace default dev two");
  }));
  expect_success(in_own_network([&] {
    return goes_on(path, true,
                   "ip address del 2001:db8:1::1/64 dev one && ip -6 route replace default dev two");
  }));
}

TEST_CASE("a UDP flow takes a better route that comes while the old address stays") {
  const auto path = GENERATE(Path::fast, Path::generic);
  expect_success(in_own_network([&] { return goes_on(path, false, "ip route add 192.0.2.0/24 dev two"); }));
  expect_success(
      in_own_network([&] { return goes_on(path, true, "ip -6 route add 2001:db8::/64 dev two"); }));
}

TEST_CASE("a ping goes on when the host's address and route are replaced") {
  expect_success(in_own_network([] {
    Links links;
    if (!links.made || std::system("sysctl -qw net.ipv4.ping_group_range='0 0'") != 0) return 77;
    StackWorld world({});
    const auto ask = [&] {
      world.device.send(
          {echo_request(world.guest(0).address, world.target(0).address, 7, 1, octets("ping"))});
    };
    ask();
    world.dial(world.request());
    if (!world.until([&] { return links.one.take(0).has_value(); })) return 1;
    if (!ip("address del 10.1.0.1/24 dev one") || !ip("route replace default dev two")) return 77;
    ask();
    std::optional<Seen> second;
    if (!world.until([&] { return (second = links.two.take(0)).has_value(); })) return 2;
    return second->from == source_of(2, false) ? 0 : 3;
  }));
}

TEST_CASE("a network event that changes nothing for a flow leaves its port alone") {
  expect_success(in_own_network([] {
    Links links;
    if (!links.made) return 77;
    StackWorld world({});
    send(world);
    world.dial(world.request());
    const auto first = next_on(world, links.one, source_of(1, false));
    if (!first || !ip("address add 10.9.0.1/24 dev two") || !ip("route add 198.51.100.0/24 dev two"))
      return 1;
    world.run_for(RouteWatch::look_interval + 100ms);
    links.one.seen.clear();
    const auto second = next_on(world, links.one, source_of(1, false));
    return second && second->from_port == first->from_port ? 0 : 2;
  }));
}

TEST_CASE("datagrams that could not be sent are not counted, and their sender is told why") {
  const auto path = GENERATE(Path::fast, Path::generic);
  expect_success(in_own_network([&] {
    Links links;
    if (!links.made) return 77;
    StackWorld world({path, false, true});
    send(world);
    world.dial(world.request());
    if (!world.until([&] { return links.one.take(target_port).has_value(); })) return 1;
    if (!world.until([&] { return world.flows.totals.udp.packets_up == 1; })) return 2;
    if (!ip("route del default")) return 77;
    for (int i = 0; i < 3; ++i) send(world);
    const auto told = [&] { return !world.others.empty() && world.others.back().is_icmp(); };
    if (path == Path::fast && !world.until(told)) return 3;
    world.rest();
    if (world.flows.totals.udp.packets_up != 1 || world.flows.totals.udp.bytes_up != 5) return 4;
    if (!ip("route add default dev two")) return 77;
    return next_on(world, links.two, source_of(2, false)) ? 0 : 5;
  }));
}
