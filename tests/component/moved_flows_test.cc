// Connects that were moved to the device, between the stack's loop and the injector's:
//
//   home (a thread): MovedFlows, the request that a SYN became  ◄── run_on, post ──  loop: what the injector
//   has

#include "host/sandbox/inject/moved_flows.h"

#include <thread>
#include "tests/support/catch.h"

#include "host/flow/memory_pipe.h"
#include "tests/support/dialers_loop.h"
#include "tests/support/stack_device.h"

using namespace nsrun;

namespace {

const FlowKey key{Protocol::tcp, {IpAddress::v4(10, 0, 2, 100), 40'000}, {IpAddress::v4(192, 0, 2, 1), 80}};

// What became of a request: written on its own loop's thread.
struct Fate {
  std::unique_ptr<Connection> end;  // that accept() gives
  std::optional<Refusal> refused;
  bool gone = false;
};

class Syn final : public Request {
 public:
  explicit Syn(Fate& fate) : fate_(fate) {}
  ~Syn() override { fate_.gone = true; }
  const FlowKey& key() const override { return ::key; }
  std::unique_ptr<Connection> accept() override { return std::move(fate_.end); }
  void refuse(Refusal how) override { fate_.refused = how; }

 private:
  Fate& fate_;
};

class Home {
 public:
  Home() {
    flows.on_arrival([this](const FlowKey&, MovedRequest syn) { arrived.emplace(std::move(syn)); });
  }
  ~Home() {
    keeps_.reset();
    if (thread.joinable()) thread.join();
  }
  // As the stack's sink does.
  bool claims(std::unique_ptr<Request> request) { return flows.claim(request); }
  void run() { context.run(); }

  asio::io_context context{1};
  Events events;
  LiveFlows live;
  AllowAll policy{"all"};
  Scope tasks{context.get_executor()};
  test::MemoryDevice device{true};
  Stack stack{context, device, {}, [](std::unique_ptr<Request>) {}, events};
  MovedFlows flows{context, stack, tasks, live, policy};
  std::optional<MovedRequest> arrived;
  std::thread thread;

 private:
  asio::executor_work_guard<Executor> keeps_{context.get_executor()};
};

std::string text(const std::vector<std::byte>& bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes.data()), size};
}

Task<> talk(Connection& moved, std::string& heard) {
  std::vector<std::byte> buffer(100);
  const auto written = co_await moved.write(as_bytes(std::string_view("to the guest")));
  const auto chunk = co_await moved.read(buffer);
  if (written && chunk) heard = text(buffer, chunk->size);
}

Task<> answer(Connection& guest, std::string& heard) {
  std::vector<std::byte> buffer(100);
  const auto chunk = co_await guest.read(buffer);
  if (chunk) heard = text(buffer, chunk->size);
  (void)co_await guest.write(as_bytes(std::string_view("to the world")));
}

Task<> read_for_ever(Connection& moved) {
  std::vector<std::byte> buffer(100);
  (void)co_await moved.read(buffer);
}

Task<> cancelled_while_reading(Connection& moved) {
  Scope scope(co_await asio::this_coro::executor);
  scope.spawn(read_for_ever(moved));
  co_await scope.cancel_and_join();
}

}  // namespace

TEST_CASE("a far end that is no kernel socket speaks with a moved connection across the loops") {
  Home home;
  Fate fate;
  auto [near, guest] = memory_pipe(home.context.get_executor(), Transport::stream);
  fate.end = std::move(near);
  std::string guest_heard, world_heard;
  home.tasks.spawn(answer(*guest, guest_heard));
  home.thread = std::thread([&] { home.run(); });
  test::Loop loop;
  {
    const auto moved = MovedRequest(home.flows, std::make_unique<Syn>(fate)).accept();
    loop.run(talk(*moved, world_heard));
    loop.run(cancelled_while_reading(*moved));
  }
  loop.run(run_on(home.context, test::give_way()));
  CHECK(guest_heard == "to the guest");
  CHECK(world_heard == "to the world");
  CHECK(fate.gone);
}

TEST_CASE("a SYN that comes after its dial was refused is refused, wherever it is by then") {
  Home home;
  Fate first, second;
  home.thread = std::thread([&] { home.run(); });
  test::Loop loop;
  const auto come = [](Home& here, Fate& fate, bool& claimed) -> Task<> {
    claimed = here.claims(std::make_unique<Syn>(fate));
    co_return;
  };
  bool claimed = false;
  loop.run(home.flows.expect(key));
  home.flows.refuse(key, Refusal::reset);
  loop.run(run_on(home.context, come(home, first, claimed)));
  CHECK(claimed);
  CHECK(first.refused == Refusal::reset);

  loop.run(home.flows.expect(key));
  loop.run(run_on(home.context, come(home, second, claimed)));
  CHECK(claimed);
  REQUIRE(home.arrived.has_value());
  home.flows.refuse(key, Refusal::prohibited);
  home.arrived->give_back();
  loop.run(run_on(home.context, test::give_way()));
  CHECK(second.refused == Refusal::prohibited);
}

TEST_CASE("a SYN that nobody expects any more is the stack's own") {
  Home home;
  Fate fate;
  home.thread = std::thread([&] { home.run(); });
  test::Loop loop;
  loop.run(home.flows.expect(key));
  home.flows.expect_no_more(key);
  loop.run(run_on(home.context, test::give_way()));
  CHECK_FALSE(home.claims(std::make_unique<Syn>(fate)));
  CHECK_FALSE(home.arrived.has_value());
}
