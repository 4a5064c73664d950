#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>
#include "tests/support/catch.h"

#include "host/services/wake/wake_dialer.h"
#include "tests/support/dialers_loop.h"

// A group with a backend that does what the test says; who asks is a task of the test's.

using namespace nsrun;
using namespace nsrun::test;

namespace {

using Status = Backend::Status;

// Starts and stops at once, and is ready at once, unless it is told otherwise.
class Scripted final : public Backend {
 public:
  explicit Scripted(Executor executor) : go_on(executor), told(executor) {}

  Task<Result<Status>> status() override {
    ++looks;
    if (looking) {
      const auto was = now;
      looking->raise();
      co_await go_on.wait();
      co_return was;
    }
    if (throwing && throwing--) throw boost::system::system_error(errno_code(EBADF));
    if (status_error) co_return *status_error;
    co_return now;
  }
  Task<Result<void>> start() override {
    ++starts;
    if (waits) co_await go_on.wait();
    if (failing_starts > 0 && failing_starts--) co_return Error{"cannot start the test"};
    now = after_start;
    co_return Result<void>();
  }
  Task<Result<void>> stop() override {
    ++stops;
    if (throwing_stops && throwing_stops--) throw boost::system::system_error(errno_code(EBADF));
    if (waits) co_await go_on.wait();
    if (failing_stops > 0 && failing_stops--) co_return Error{"cannot stop the test"};
    now = Status::idle;
    co_return Result<void>();
  }
  Task<> watch(std::function<void()> changed) override {
    for (;;) {
      co_await told.wait();
      changed();
    }
  }
  void doubt() override { ++doubts; }
  Pace pace() const override { return {1ms, 60s}; }

  // Somebody else has changed it.
  void becomes(Status status) {
    now = status;
    told.raise();
  }

  Status now = Status::idle, after_start = Status::running;
  std::optional<Error> status_error;
  int starts = 0, stops = 0, looks = 0, doubts = 0, failing_starts = 0, failing_stops = 0, throwing = 0,
      throwing_stops = 0;
  Signal* looking = nullptr;  // told when it is asked, which lasts until go_on
  bool waits = false;         // start and stop, for go_on
  Signal go_on, told;
};

struct AskedGroup {
  std::optional<Result<void>> outcome;
};

struct GroupWorld {
  explicit GroupWorld(WakeGroup::Options options = {.name = "test", .idle = 0s})
      : backend(loop.executor()),
        said(loop.executor()),
        group(loop.executor(), backend, std::move(options), [this](WakeLevel level, const std::string& what) {
          if (level > WakeLevel::info) return;
          lines.push_back(what);
          said.raise();
        }) {
    group.add_flows(flows);
  }

  void run(Task<> body) {
    loop.beside.spawn(group.run());
    loop.run(std::move(body));
  }
  Task<> until_said(std::string text) {
    while (count(text) == 0) co_await said.wait();
  }
  Task<> until_state(WakeState state) {
    while (group.state() != state) co_await said.wait();
  }
  long count(const std::string& text) const {
    return std::count_if(lines.begin(), lines.end(),
                         [&](const auto& line) { return line.find(text) != line.npos; });
  }

  Loop loop;
  LiveFlows flows;
  Events events;
  Scripted backend;
  std::vector<std::string> lines;
  Signal said;
  WakeGroup group;
};

Task<> ask_group(GroupWorld& world, AskedGroup& asked, int socket = -1) {
  asked.outcome = co_await world.group.awake(socket);
}

Task<> ask_all(GroupWorld& world, std::vector<AskedGroup>& all) {
  Scope tasks(world.loop.executor());
  for (auto& asked : all) tasks.spawn(ask_group(world, asked));
  co_await tasks.join();
}

struct GroupPair {
  GroupPair() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    client.reset(ends[0]);
    ours.reset(ends[1]);
  }
  UniqueFd client, ours;
};

}  // namespace

TEST_CASE("who asks an idle group is held until it runs, and the log says so") {
  GroupWorld world;
  AskedGroup asked;
  world.run(ask_group(world, asked));
  REQUIRE(asked.outcome);
  CHECK(asked.outcome->has_value());
  CHECK(world.backend.starts == 1);
  const std::vector<std::string> lines = {"test: State change (Idle => Starting)",
                                          "test: State change (Starting => Running)"};
  CHECK(world.lines == lines);
}

TEST_CASE("a thousand who ask at once start it once, and none is lost") {
  GroupWorld world;
  std::vector<AskedGroup> all(1000);
  world.run(ask_all(world, all));
  CHECK(world.backend.starts == 1);
  CHECK(std::ranges::all_of(all,
                            [](const AskedGroup& one) { return one.outcome && one.outcome->has_value(); }));
}

TEST_CASE("who asks what runs already waits for nothing, and starts nothing") {
  GroupWorld world;
  world.backend.now = Status::running;
  AskedGroup asked;
  world.run(ask_group(world, asked));
  CHECK(asked.outcome->has_value());
  CHECK(world.backend.starts == 0);
  CHECK(world.count("Idle => Running") == 1);
}

TEST_CASE("who asks while it starts waits for the same start") {
  GroupWorld world;
  world.backend.after_start = Status::starting;
  AskedGroup first, second;
  const auto body = [](GroupWorld& w, AskedGroup& a, AskedGroup& b) -> Task<> {
    Scope tasks(w.loop.executor());
    tasks.spawn(ask_group(w, a));
    co_await w.until_state(WakeState::starting);
    tasks.spawn(ask_group(w, b));
    co_await give_way();
    CHECK(!a.outcome);
    CHECK(!b.outcome);
    w.backend.becomes(Status::running);
    co_await tasks.join();
  };
  world.run(body(world, first, second));
  CHECK(first.outcome->has_value());
  CHECK(second.outcome->has_value());
  CHECK(world.backend.starts == 1);
}

TEST_CASE("who asks while it stops is held, and it is started again after the stop") {
  GroupWorld world({.name = "test", .idle = 20ms});
  AskedGroup first, second;
  const auto body = [](GroupWorld& w, AskedGroup& a, AskedGroup& b) -> Task<> {
    co_await ask_group(w, a);
    w.backend.waits = true;
    co_await w.until_state(WakeState::stopping);
    Scope tasks(w.loop.executor());
    tasks.spawn(ask_group(w, b));
    co_await give_way();
    CHECK(w.backend.starts == 1);
    w.backend.waits = false;
    w.backend.go_on.raise();
    co_await tasks.join();
  };
  world.run(body(world, first, second));
  CHECK(second.outcome->has_value());
  CHECK(world.backend.stops == 1);
  CHECK(world.backend.starts == 2);
  CHECK(world.count("Stopping => Idle") == 1);
}

TEST_CASE("a start that fails is tried again as long as somebody waits, and is said once") {
  GroupWorld world;
  world.backend.failing_starts = 2;
  AskedGroup asked;
  world.run(ask_group(world, asked));
  CHECK(asked.outcome->has_value());
  CHECK(world.backend.starts == 3);
  CHECK(world.count("cannot start the test") == 1);
}

TEST_CASE("who waits for a health that never comes is turned away in time, and it is stopped") {
  GroupWorld world({.name = "test", .idle = 50ms, .start_limit = 30ms});
  world.backend.after_start = Status::starting;
  AskedGroup asked;
  const auto body = [](GroupWorld& w, AskedGroup& a) -> Task<> {
    co_await ask_group(w, a);
    co_await w.until_said("Stopping => Idle");
  };
  world.run(body(world, asked));
  CHECK(asked.outcome->error().message().find("not ready within 30 ms") != std::string::npos);
  CHECK(refusal_for(asked.outcome->error()) == Refusal::reset);
  CHECK(world.backend.stops == 1);
}

TEST_CASE("what somebody else stops is idle, and started again when asked for") {
  GroupWorld world;
  AskedGroup first, second;
  const auto body = [](GroupWorld& w, AskedGroup& a, AskedGroup& b) -> Task<> {
    co_await ask_group(w, a);
    w.backend.becomes(Status::idle);
    co_await w.until_said("Running => Idle");
    co_await ask_group(w, b);
  };
  world.run(body(world, first, second));
  CHECK(second.outcome->has_value());
  CHECK(world.backend.starts == 2);
}

TEST_CASE("what somebody else stops while it starts is started again for those who wait") {
  GroupWorld world;
  world.backend.after_start = Status::starting;
  AskedGroup asked;
  const auto body = [](GroupWorld& w, AskedGroup& a) -> Task<> {
    Scope tasks(w.loop.executor());
    tasks.spawn(ask_group(w, a));
    co_await w.until_state(WakeState::starting);
    co_await give_way();
    w.backend.after_start = Status::running;
    w.backend.becomes(Status::idle);
    co_await tasks.join();
  };
  world.run(body(world, asked));
  CHECK(asked.outcome->has_value());
  CHECK(world.backend.starts == 2);
}

TEST_CASE("what somebody else starts again is waited for") {
  GroupWorld world;
  AskedGroup first, second;
  const auto body = [](GroupWorld& w, AskedGroup& a, AskedGroup& b) -> Task<> {
    co_await ask_group(w, a);
    w.backend.becomes(Status::starting);
    co_await w.until_said("Running => Starting");
    Scope tasks(w.loop.executor());
    tasks.spawn(ask_group(w, b));
    co_await give_way();
    CHECK(!b.outcome);
    w.backend.becomes(Status::running);
    co_await tasks.join();
  };
  world.run(body(world, first, second));
  CHECK(world.backend.starts == 1);
}

TEST_CASE("a stop that fails is tried again") {
  GroupWorld world({.name = "test", .idle = 10ms});
  world.backend.failing_stops = 1;
  AskedGroup asked;
  const auto body = [](GroupWorld& w, AskedGroup& a) -> Task<> {
    co_await ask_group(w, a);
    co_await w.until_said("Stopping => Idle");
  };
  world.run(body(world, asked));
  CHECK(world.backend.stops == 2);
  CHECK(world.count("cannot stop the test") == 1);
}

TEST_CASE("a status that cannot be had changes nothing, and is said once") {
  GroupWorld world;
  AskedGroup first, second;
  const auto body = [](GroupWorld& w, AskedGroup& a, AskedGroup& b) -> Task<> {
    co_await ask_group(w, a);
    w.backend.status_error = Error{"cannot ask the test"};
    w.backend.told.raise();
    co_await w.until_said("cannot ask the test");
    for (int i = 0; i < 3; ++i) co_await w.group.look_again();
    co_await ask_group(w, b);
  };
  world.run(body(world, first, second));
  CHECK(second.outcome->has_value());
  CHECK(world.group.state() == WakeState::running);
  CHECK(world.count("cannot ask the test") == 1);
  CHECK(world.backend.doubts == 3);  // by those who look again, for they were refused
}

TEST_CASE("traffic puts the end off, an open connection alone does not") {
  GroupWorld world({.name = "test", .idle = 150ms});
  AskedGroup asked;
  std::optional<FlowRecord> record;
  const auto body = [](GroupWorld& w, AskedGroup& a, std::optional<FlowRecord>& flow) -> Task<> {
    co_await ask_group(w, a);
    flow.emplace(1, FlowKey{}, w.events, w.flows);
    const auto quiet_since = Clock::now();
    flow->moved_up(1);
    co_await w.until_said("Running => Stopping");
    const auto after = Clock::now() - quiet_since;
    CHECK(after >= 140ms);
    CHECK(after < 10s);
  };
  world.run(body(world, asked, record));
}

TEST_CASE("an open connection puts the end off where connections count") {
  GroupWorld world({.name = "test", .idle = 30ms, .by_traffic = false, .by_connections = true});
  AskedGroup asked;
  std::optional<FlowRecord> record;
  const auto body = [](GroupWorld& w, AskedGroup& a, std::optional<FlowRecord>& flow) -> Task<> {
    co_await ask_group(w, a);
    flow.emplace(1, FlowKey{}, w.events, w.flows);
    const bool stopped = co_await either(w.until_said("Running => Stopping"), sleep_for(200ms));
    CHECK(!stopped);
    flow.reset();
    co_await w.until_said("Running => Stopping");
  };
  world.run(body(world, asked, record));
}

TEST_CASE("one who leaves while held is noticed; one who has sent something and finished is not gone") {
  GroupWorld world;
  world.backend.after_start = Status::starting;
  GroupPair leaving, finished;
  AskedGroup left, waiting;
  const auto body = [](GroupWorld& w, GroupPair& one, GroupPair& other, AskedGroup& a,
                       AskedGroup& b) -> Task<> {
    Scope tasks(w.loop.executor());
    REQUIRE(::send(other.client.get(), "early", 5, 0) == 5);
    ::shutdown(other.client.get(), SHUT_WR);
    tasks.spawn(ask_group(w, b, other.ours.get()));
    one.client.reset();
    co_await ask_group(w, a, one.ours.get());
    CHECK(!b.outcome);
    w.backend.becomes(Status::running);
    co_await tasks.join();
  };
  world.run(body(world, leaving, finished, left, waiting));
  CHECK(left.outcome->error().message().find("has left") != std::string::npos);
  CHECK(waiting.outcome->has_value());
  char early[8];
  CHECK(::recv(finished.ours.get(), early, sizeof early, 0) == 5);
}

TEST_CASE("a held client is turned away when nsrun ends") {
  GroupWorld world;
  world.backend.after_start = Status::starting;
  AskedGroup asked;
  const auto body = [](GroupWorld& w, AskedGroup& a) -> Task<> {
    Scope tasks(w.loop.executor());
    tasks.spawn(ask_group(w, a));
    co_await w.until_state(WakeState::starting);
    co_await w.loop.beside.cancel_and_join();
    co_await tasks.join();
  };
  world.run(body(world, asked));
  CHECK(!asked.outcome->has_value());
}

TEST_CASE("what changes while it is looked at is looked at again") {
  GroupWorld world;
  AskedGroup asked;
  const auto body = [](GroupWorld& w, AskedGroup& a) -> Task<> {
    co_await ask_group(w, a);
    Signal looking(w.loop.executor());
    w.backend.looking = &looking;
    w.backend.told.raise();
    co_await looking.wait();
    w.backend.looking = nullptr;
    w.backend.becomes(Status::idle);  // after its answer was made
    co_await give_way();
    w.backend.go_on.raise();
    co_await w.until_said("Running => Idle");
  };
  world.run(body(world, asked));
}

TEST_CASE("a crowd of events is a few looks") {
  GroupWorld world;
  AskedGroup asked;
  const auto body = [](GroupWorld& w, AskedGroup& a) -> Task<> {
    co_await ask_group(w, a);
    for (const auto end = Clock::now() + 300ms; Clock::now() < end; co_await give_way())
      w.backend.told.raise();
  };
  world.run(body(world, asked));
  CHECK(world.backend.looks < 20);
}

TEST_CASE("a crowd of events while a client waits for a start that fails is a few looks, too") {
  GroupWorld world({.name = "test", .idle = 0s, .start_limit = 300ms});
  world.backend.failing_starts = 1000;
  AskedGroup asked;
  const auto body = [](GroupWorld& w, AskedGroup& a) -> Task<> {
    Scope tasks(w.loop.executor());
    tasks.spawn(ask_group(w, a));
    while (!a.outcome) {
      w.backend.told.raise();
      co_await give_way();
    }
    co_await tasks.join();
  };
  world.run(body(world, asked));
  CHECK_FALSE(asked.outcome->has_value());
  CHECK(world.backend.looks < 20);
}

TEST_CASE("events that go on for long are looked at once a second, and at once when there was none lately") {
  GroupWorld world;
  AskedGroup asked;
  const auto body = [](GroupWorld& w, AskedGroup& a) -> Task<> {
    co_await ask_group(w, a);
    for (const auto end = Clock::now() + 2s; Clock::now() < end; co_await give_way()) w.backend.told.raise();
    CHECK(w.backend.looks < 12);  // 40 at 50 ms
    co_await sleep_for(2100ms);
    const auto looks = w.backend.looks;
    const auto begun = Clock::now();
    w.backend.told.raise();
    while (w.backend.looks == looks) co_await give_way();
    CHECK(Clock::now() - begun < 1s);
  };
  world.run(body(world, asked));
}

TEST_CASE(
    "a group that slept longer than its idle time and is started in part by hand has its idle time again") {
  GroupWorld world({.name = "test", .idle = 150ms});
  const auto body = [](GroupWorld& w) -> Task<> {
    co_await sleep_for(200ms);
    const auto begun = Clock::now();
    w.backend.becomes(Status::partly);
    co_await w.until_said("Idle => Stopping");
    CHECK(Clock::now() - begun >= 140ms);
  };
  world.run(body(world));
}

TEST_CASE("with a threshold connections alone put nothing off") {
  GroupWorld world({.name = "test", .idle = 150ms, .by_arrivals = false, .least = 1000});
  const auto body = [](GroupWorld& w) -> Task<> {
    AskedGroup first;
    co_await ask_group(w, first);
    const auto deadline = Clock::now() + 5s;
    while (w.count("Running => Stopping") == 0 && Clock::now() < deadline) {
      AskedGroup again;
      co_await ask_group(w, again);
      co_await give_way();
    }
    CHECK(w.count("Running => Stopping") == 1);
  };
  world.run(body(world));
}

TEST_CASE("a group with a wake threshold is started by so many packets, and serves all who waited") {
  GroupWorld world({.name = "test", .idle = 60s, .wake_least = 7});
  AskedGroup first, second;
  const auto body = [](GroupWorld& w, AskedGroup& a, AskedGroup& b) -> Task<> {
    Scope tasks(w.loop.executor());
    const auto call = [](GroupWorld& to, AskedGroup& by, std::uint64_t packets) -> Task<> {
      by.outcome = co_await to.group.awake(-1, packets);
    };
    tasks.spawn(call(w, a, 3));
    tasks.spawn(call(w, b, 3));
    co_await sleep_for(30ms);
    CHECK(w.backend.starts == 0);
    w.group.datagram_arrived();
    co_await tasks.join();
  };
  world.run(body(world, first, second));
  CHECK((first.outcome->has_value() && second.outcome->has_value()));
  CHECK(world.backend.starts == 1);
}

TEST_CASE("what a waiting client has sent counts for the wake threshold, and stays in its socket") {
  GroupWorld world({.name = "test", .idle = 60s, .wake_least = 4});
  GroupPair pair;
  AskedGroup asked;
  const auto body = [](GroupWorld& w, GroupPair& ends, AskedGroup& a) -> Task<> {
    Scope tasks(w.loop.executor());
    tasks.spawn(ask_group(w, a, ends.ours.get()));
    co_await give_way();
    const std::string early(3 * 1460, 'x');
    REQUIRE(::send(ends.client.get(), early.data(), early.size(), 0) == 3 * 1460);
    co_await tasks.join();
  };
  world.run(body(world, pair, asked));
  CHECK(asked.outcome->has_value());
  char first = 0;
  CHECK(::recv(pair.ours.get(), &first, 1, 0) == 1);
}

TEST_CASE(
    "too few packets wake nobody: who waited is refused in time, and is told why in the flow's record") {
  GroupWorld world({.name = "test", .idle = 60s, .start_limit = 30ms, .wake_least = 30});
  AskedGroup asked;
  world.run(ask_group(world, asked));
  CHECK(asked.outcome->error().message().find("fewer than 30 packets") != std::string::npos);
  CHECK(refusal_for(asked.outcome->error()) == Refusal::reset);
  CHECK(world.backend.starts == 0);
  CHECK(world.lines.empty());
}

TEST_CASE("what runs in part is of no use, and is stopped when unused as the whole is") {
  GroupWorld world({.name = "test", .idle = 50ms});
  world.backend.now = Status::partly;
  const auto body = [](GroupWorld& w) -> Task<> { co_await w.until_said("Stopping => Idle"); };
  const auto begun = Clock::now();
  world.run(body(world));
  CHECK(world.backend.starts == 0);
  CHECK(world.backend.stops == 1);
  CHECK(Clock::now() - begun >= 50ms);
}

TEST_CASE("who comes when it runs in part has it started") {
  GroupWorld world;
  world.backend.now = Status::partly;
  AskedGroup asked;
  world.run(ask_group(world, asked));
  CHECK(asked.outcome->has_value());
  CHECK(world.backend.starts == 1);
}

TEST_CASE("health that comes and goes is no use: the idle time runs on") {
  GroupWorld world({.name = "test", .idle = 200ms});
  AskedGroup asked;
  const auto body = [](GroupWorld& w, AskedGroup& a) -> Task<> {
    co_await ask_group(w, a);
    const auto begun = Clock::now();
    for (bool well = false; w.count("=> Stopping") == 0; well = !well) {
      if (Clock::now() > begun + 5s) FAIL("it is not stopped");
      w.backend.becomes(well ? Status::running : Status::starting);
      co_await sleep_for(60ms);
    }
  };
  world.run(body(world, asked));
}

TEST_CASE("a turn that goes wrong is not the end of the group") {
  GroupWorld world;
  world.backend.throwing = 1;
  AskedGroup asked;
  world.run(ask_group(world, asked));
  CHECK(asked.outcome->has_value());
  CHECK(world.count("Bad file descriptor") == 1);
}

TEST_CASE("nor is a stop that goes wrong") {
  GroupWorld world({.name = "test", .idle = 10ms});
  world.backend.throwing_stops = 1;
  AskedGroup asked;
  const auto body = [](GroupWorld& w, AskedGroup& a) -> Task<> {
    co_await ask_group(w, a);
    co_await w.until_said("Stopping => Idle");
  };
  world.run(body(world, asked));
  CHECK(world.backend.stops == 2);
}

TEST_CASE("one that is asleep with its connections, as what is paused is, wakes when somebody speaks there") {
  GroupWorld world({.name = "test", .idle = 20ms});
  AskedGroup asked;
  FlowRecord flow(1, FlowKey{}, world.events, world.flows, Asker::forwarded);
  const auto body = [](GroupWorld& w, AskedGroup& a, FlowRecord& record) -> Task<> {
    co_await ask_group(w, a);
    record.moved_up(1, 1);
    co_await w.until_said("Stopping => Idle");
    co_await sleep_for(50ms);
    CHECK(w.backend.starts == 1);
    record.moved_up(1, 1);
    while (w.backend.starts < 2) co_await sleep_for(5ms);
  };
  world.run(body(world, asked, flow));
}

TEST_CASE("the same trouble is the same whatever its ids are") {
  GroupWorld world({.name = "test", .idle = 0s, .start_limit = 2s});
  world.backend.status_error = Error{"no endpoint 0123456789abcdef"};
  AskedGroup asked;
  const auto body = [](GroupWorld& w, AskedGroup& a) -> Task<> {
    Scope tasks(w.loop.executor());
    tasks.spawn(ask_group(w, a));
    co_await w.until_said("no endpoint");
    w.backend.status_error = Error{"no endpoint fedcba9876543210"};
    co_await w.group.look_again();
    w.backend.status_error.reset();
    co_await w.group.look_again();
    w.backend.status_error = Error{"no endpoint 00000000000000"};
    co_await w.group.look_again();
    w.backend.status_error.reset();
    co_await tasks.join();
  };
  world.run(body(world, asked));
  CHECK(world.count("no endpoint") == 1);
}
