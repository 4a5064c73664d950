#include "host/dialers/loopback_dialer.h"

#include <map>

#include "host/flow/memory_pipe.h"
#include "tests/support/catch.h"
#include "tests/support/dialers_loop.h"

using namespace nsrun;
using namespace nsrun::test;

namespace {

const IpAddress loopback4 = IpAddress::v4(127, 0, 0, 1), loopback6 = *IpAddress::parse("::1");
const auto any = [](const IpAddress&) { return true; };
const auto only6 = [](const IpAddress& address) { return address.is_v6(); };

// A machine that answers at one address, and refuses at all others.
struct Machine final : Dialer {
  Machine(Executor on, IpAddress address) : executor(on), listens_at(address) {}
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override {
    dialled.push_back(target.to_string());
    if (target.endpoint.address != listens_at) co_return Error{"cannot connect", errno_code(ECONNREFUSED)};
    co_return memory_pipe(executor, Transport::stream).first;
  }

  Executor executor;
  IpAddress listens_at;
  std::vector<std::string> dialled;
};

struct LoopbackWorld {
  // What comes of a dial: 0 or an errno.
  int dial(Target target) {
    int error = 0;
    loop.run(dial_into(std::move(target), error));
    return error;
  }
  Task<> dial_into(Target target, int& error) {
    target.resolved = [this](const Target& way) { told.push_back(way.to_string()); };
    const auto far = co_await dialer.dial(target);
    if (!far) error = far.error().code.value();
  }

  explicit LoopbackWorld(IpAddress address) : machine(loop.executor(), address) {}
  Loop loop;
  Machine machine;
  LoopbackDialer dialer{machine};
  std::vector<std::string> told;
};

Target to(const IpAddress& address, AddressCheck permits = any, Protocol protocol = Protocol::tcp) {
  Target target{protocol, {address, 80}, {}};
  target.permits = std::move(permits);
  return target;
}

}  // namespace

TEST_CASE("a server at one of the loopback addresses is reached at the other, too") {
  LoopbackWorld v4(loopback4), v6(loopback6);
  CHECK(v4.dial(to(loopback6)) == 0);
  CHECK(v4.told == std::vector<std::string>{"tcp/127.0.0.1:80"});
  CHECK(v6.dial(to(loopback4)) == 0);
  CHECK(v4.dial(to(loopback4)) == 0);
  CHECK(v4.machine.dialled.back() == "tcp/127.0.0.1:80");
}

TEST_CASE("a loopback address that is not permitted is not dialled") {
  LoopbackWorld world(loopback4);
  CHECK(world.dial(to(loopback6, only6)) == ECONNREFUSED);
  CHECK(world.dial(to(loopback6, {})) == ECONNREFUSED);
  CHECK(world.machine.dialled == std::vector<std::string>{"tcp/[::1]:80", "tcp/[::1]:80"});
}

TEST_CASE("other addresses and other protocols are dialled as they are") {
  LoopbackWorld world(loopback4);
  CHECK(world.dial(to(IpAddress::v4(192, 0, 2, 1))) == ECONNREFUSED);
  CHECK(world.dial(to(IpAddress::v4(127, 0, 0, 2))) == ECONNREFUSED);
  CHECK(world.dial(to(loopback6, any, Protocol::udp)) == ECONNREFUSED);
  CHECK(world.machine.dialled.size() == 3);
}
