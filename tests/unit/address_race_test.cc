#include "host/dialers/address_race.h"

#include <map>

#include "host/flow/memory_pipe.h"
#include "tests/support/catch.h"
#include "tests/support/dialers_loop.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

using Dialled = Result<std::unique_ptr<Connection>>;
using Addresses = std::vector<IpAddress>;

const IpAddress v6_a = *IpAddress::parse("2001:db8::a"), v6_b = *IpAddress::parse("2001:db8::b");
const IpAddress v4_a = IpAddress::v4(192, 0, 2, 1), v4_b = IpAddress::v4(192, 0, 2, 2);

template <class... T>
Addresses list(const T&... addresses) {
  return {addresses...};
}

// What becomes of a dial to each address: an errno, 0 for a connection, nothing for silence.
class Network final : public Dialer {
 public:
  explicit Network(Executor executor) : executor_(executor) {}
  Task<Dialled> dial(const Target& target) override {
    dialled.push_back(target.endpoint.address);
    co_await give_way();
    const auto found = answers.find(target.endpoint.address);
    if (found == answers.end()) co_await sleep_for(10min);
    if (found->second) co_return Error{"cannot connect", errno_code(found->second)};
    co_return memory_pipe(executor_, Transport::stream).first;
  }

  std::map<IpAddress, int> answers;
  Addresses dialled;

 private:
  Executor executor_;
};

struct RaceWorld {
  Loop loop;
  Network network{loop.executor()};
  Addresses told;
  Target target{Protocol::tcp, {{}, 80}, "name.test"};
  SourceLookup source = [](const IpAddress& to) { return std::optional(to); };  // there is a route to all

  RaceWorld() {
    target.resolved = [this](const Target& way) { told.push_back(way.endpoint.address); };
  }
  Task<int> dial(Addresses addresses) {
    const auto far = co_await dial_addresses(target, addresses, network, source);
    co_return far ? 0 : far.error().code.value();
  }
};

Task<> silence_is_overtaken(RaceWorld& world) {
  world.network.answers = {{v4_a, 0}};
  const auto seen = co_await world.dial(list(v6_a, v6_b, v4_a));
  CHECK(seen == 0);
  CHECK(world.network.dialled == Addresses{v6_a, v4_a});
  CHECK(world.told == Addresses{v6_a, v4_a});
}

Task<> the_askers_family_is_first(RaceWorld& world) {
  world.network.answers = {{v4_a, 0}, {v6_a, 0}};
  world.target.source = {IpAddress::v4(10, 0, 2, 100), 40000};
  const auto seen = co_await world.dial(list(v6_a, v4_a));
  CHECK(seen == 0);
  CHECK(world.network.dialled == Addresses{v4_a});
}

Task<> a_route_is_needed(RaceWorld& world) {
  world.network.answers = {{v4_a, 0}, {v6_a, 0}};
  world.source = [](const IpAddress& to) { return to.is_v4() ? std::optional(v4_b) : std::nullopt; };
  const auto seen = co_await world.dial(list(v6_a, v4_a));
  CHECK(seen == 0);
  CHECK(world.network.dialled == Addresses{v4_a});
}

Task<> errors_start_the_next(RaceWorld& world) {
  world.target.protocol = Protocol::udp;  // nothing else does within the test's time
  world.network.answers = {{v6_a, ENETUNREACH}, {v4_a, 0}};
  const auto seen = co_await world.dial(list(v6_a, v4_a));
  CHECK(seen == 0);
}

Task<> the_error_that_tells_most(RaceWorld& world) {
  world.network.answers = {{v4_a, ECONNREFUSED}, {v6_a, ENETUNREACH}, {v6_b, ENETUNREACH}};
  const auto seen = co_await world.dial(list(v6_a, v4_a, v6_b));
  CHECK(seen == ECONNREFUSED);
}

Task<> the_record_names_the_one_taken(RaceWorld& world) {
  // The second is dialled while the first is silent, and then the first answers.
  class Slow final : public Dialer {
   public:
    explicit Slow(Executor executor) : executor_(executor) {}
    Task<Dialled> dial(const Target& target) override {
      if (target.endpoint.address == v4_a) {
        second_.raise();
        co_await sleep_for(10min);
      }
      co_await second_.wait();
      co_return memory_pipe(executor_, Transport::stream).first;
    }

   private:
    Executor executor_;
    Signal second_{executor_};
  } slow(world.loop.executor());
  const auto far = co_await dial_addresses(world.target, list(v6_a, v4_a), slow, world.source);
  CHECK(far.has_value());
  CHECK(world.told == Addresses{v6_a, v4_a, v6_a});
}

Task<> eight_at_most(RaceWorld& world) {
  Addresses many;
  for (std::uint8_t i = 1; i <= 9; ++i) {
    many.push_back(IpAddress::v4(192, 0, 2, i));
    world.network.answers[many.back()] = ECONNREFUSED;
  }
  const auto seen = co_await world.dial(many);
  CHECK(seen == ECONNREFUSED);
  CHECK(world.network.dialled.size() == 8);
}

}  // namespace

TEST_CASE("the families take turns, beginning with the asker's") {
  const Addresses both{v6_a, v6_b, v4_a, v4_b};
  CHECK(order_addresses(both, {}) == Addresses{v6_a, v4_a, v6_b, v4_b});
  CHECK(order_addresses(both, v4_b) == Addresses{v4_a, v6_a, v4_b, v6_b});
  CHECK(order_addresses({v4_a, v4_b, v6_a}, v6_b) == Addresses{v6_a, v4_a, v4_b});
  CHECK(order_addresses({v4_a}, v6_b) == Addresses{v4_a});
  CHECK(order_addresses({}, v6_b).empty());
}

TEST_CASE("an address that swallows a connection does not hold up the other family") {
  RaceWorld world;
  world.loop.run(silence_is_overtaken(world));
}

TEST_CASE("the first address dialled is of the family by which the asker came") {
  RaceWorld world;
  world.loop.run(the_askers_family_is_first(world));
}

TEST_CASE("an address to which there is no route is not the first, unless the asker came by its family") {
  RaceWorld world;
  world.loop.run(a_route_is_needed(world));
}

TEST_CASE("an address that fails has the next one dialled at once") {
  RaceWorld world;
  world.loop.run(errors_start_the_next(world));
}

TEST_CASE("when no address answers, the error is rather another than that there is no route") {
  RaceWorld world;
  world.loop.run(the_error_that_tells_most(world));
}

TEST_CASE("the address told of last is the one that was taken") {
  RaceWorld world;
  world.loop.run(the_record_names_the_one_taken(world));
}

TEST_CASE("of one name at most eight addresses are dialled") {
  RaceWorld world;
  world.loop.run(eight_at_most(world));
}
