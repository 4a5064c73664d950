#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>
#include "tests/support/catch.h"

#include "host/services/wake/backends/docker_backend.h"
#include "host/services/wake/backends/health.h"
#include "host/services/wake/backends/process_backend.h"
#include "host/services/wake/backends/run_program.h"
#include "host/services/wake/backends/sandbox_forwards.h"
#include "tests/support/dialers_loop.h"

using namespace nsrun;
using namespace nsrun::test;
using Status = Backend::Status;

namespace {

bool exists(const std::string& path) { return std::filesystem::exists(path); }

// A folder for the time of a test.
struct BackendFolder {
  BackendFolder() { REQUIRE(::mkdtemp(path.data())); }
  ~BackendFolder() { std::filesystem::remove_all(path); }
  std::string path = "/tmp/nsrun-test-XXXXXX";
};

struct OfProcess {
  explicit OfProcess(const std::string& command)
      : backend(loop.executor(), ProcessBackend::shell(command), 1s,
                [this](const std::string& what) { lines.push_back(what); }) {}
  Loop loop;
  std::vector<std::string> lines;
  ProcessBackend backend;
};

Task<> until_idle(ProcessBackend& backend) {
  for (;;) {
    const auto seen = co_await backend.status();
    if (seen && *seen == Status::idle) co_return;
    co_await sleep_for(1ms);
  }
}

Task<> start_and_end(ProcessBackend& backend, int times) {
  for (int i = 0; i < times; ++i) {
    const auto started = co_await backend.start();
    REQUIRE(started.has_value());
    co_await until_idle(backend);
  }
}

Task<> start_once(ProcessBackend& backend, Result<void>& outcome) { outcome = co_await backend.start(); }

// So many descriptors more may be opened.
struct FewDescriptors {
  explicit FewDescriptors(int more) {
    ::getrlimit(RLIMIT_NOFILE, &before);
    const int next = ::dup(0);
    ::close(next);
    const rlimit few{static_cast<rlim_t>(next + more), before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &few);
  }
  ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before); }
  rlimit before{};
};

}  // namespace

TEST_CASE("what ends by itself, started again and again, is told of once; stopped meanwhile, again") {
  OfProcess one("exit 3");
  one.loop.run(start_and_end(one.backend, 3));
  CHECK(one.lines == std::vector<std::string>{"'exit 3' ended by itself, with status 3"});
  const auto stop = [](ProcessBackend& backend) -> Task<> {
    const auto stopped = co_await backend.stop();
    REQUIRE(stopped.has_value());
  };
  one.loop.run(stop(one.backend));
  one.loop.run(start_and_end(one.backend, 1));
  CHECK(one.lines.size() == 2);
}

TEST_CASE("what cannot be run, and what goes into the background, is told what it is") {
  OfProcess missing("exec /no/such/program 2>/dev/null");
  missing.loop.run(start_and_end(missing.backend, 1));
  REQUIRE(missing.lines.size() == 1);
  CHECK(missing.lines[0].find("cannot run 'exec /no/such/program") == 0);
  OfProcess daemon("true");
  daemon.loop.run(start_and_end(daemon.backend, 1));
  REQUIRE(daemon.lines.size() == 1);
  CHECK(daemon.lines[0].find("keep it in the foreground") != std::string::npos);
}

TEST_CASE("a long command of many lines is called by one short line") {
  const auto name = ProcessBackend::shell("first\nsecond\t" + std::string(100, 'x')).name;
  CHECK(name.starts_with("first second xxx"));
  CHECK(name.ends_with("x…"));
  CHECK(name.size() < 70);
}

TEST_CASE("a process that cannot be watched for want of descriptors is a failed start, and leaves nothing") {
  OfProcess one("exec sleep 1000");
  for (int more = 0; more < 2; ++more) {  // /dev/null, and the process
    Result<void> outcome;
    {
      const FewDescriptors few(more);
      one.loop.run(start_once(one.backend, outcome));
    }
    CHECK_FALSE(outcome.has_value());
  }
  one.loop.run(until_idle(one.backend));
  CHECK(one.lines.empty());
  Result<void> outcome;
  one.loop.run(start_once(one.backend, outcome));
  CHECK(outcome.has_value());
}

TEST_CASE("a program that is not done in time is killed with what it started") {
  const BackendFolder folder;
  Loop loop;
  const auto body = [](Executor executor, const std::string& place) -> Task<> {
    std::vector<std::string> argv = {"/bin/sh", "-c", "(sleep 0.5; : > " + place + "/late) & wait; true"};
    const auto done = co_await run_program(executor, std::move(argv), 100ms);
    CHECK_FALSE(done.has_value());
    co_await sleep_for(800ms);
  };
  loop.run(body(loop.executor(), folder.path));
  CHECK_FALSE(exists(folder.path + "/late"));
}

TEST_CASE("a program that writes without end is read within its limit, and others get their turn") {
  Loop loop;
  int turns = 0;
  const auto body = [](Executor executor, int& count) -> Task<> {
    std::vector<std::string> argv = {"/bin/sh", "-c", "exec cat /dev/zero"};
    const auto others = [](int& ticks) -> Task<> {
      for (;;) {
        co_await sleep_for(10ms);
        ++ticks;
      }
    };
    const auto reader = [](Executor on, std::vector<std::string> words) -> Task<> {
      const auto done = co_await run_program(on, std::move(words), 500ms);
      CHECK_FALSE(done.has_value());
    };
    co_await either(others(count), reader(executor, std::move(argv)));
  };
  loop.run(body(loop.executor(), turns));
  CHECK(turns > 15);
}

namespace {

class Inner final : public Backend {
 public:
  explicit Inner(Executor executor) : told(executor) {}
  Task<Result<Status>> status() override {
    if (fails) co_return Error{"cannot be asked"};
    co_return now;
  }
  Task<Result<void>> start() override { co_return Result<void>(); }
  Task<Result<void>> stop() override { co_return Result<void>(); }
  Task<> watch(std::function<void()> changed) override {
    for (;;) {
      co_await told.wait();
      changed();
    }
  }
  Pace pace() const override { return {1s, 60s}; }
  Status now = Status::running;
  bool fails = false;
  Signal told;
};

struct CountingProbe final : Probe {
  Task<bool> is_ready() override {
    ++asked;
    co_return ready;
  }
  Clock::duration interval() const override { return 1ms; }
  bool ready = true;
  int asked = 0;
};

struct Probed {
  Probed() {
    auto made_inner = std::make_unique<Inner>(loop.executor());
    auto made_probe = std::make_unique<CountingProbe>();
    inner = made_inner.get();
    probe = made_probe.get();
    backend = std::make_unique<ProbedBackend>(std::move(made_inner), std::move(made_probe));
  }
  Status look() {
    auto seen = Status::idle;
    const auto body = [](Backend& of, Status& into) -> Task<> {
      const auto status = co_await of.status();
      if (status) into = *status;
    };
    loop.run(body(*backend, seen));
    return seen;
  }
  Loop loop;
  Inner* inner = nullptr;
  CountingProbe* probe = nullptr;
  std::unique_ptr<Backend> backend;
};

Task<> stop_once(Backend& backend) {
  const auto stopped = co_await backend.stop();
  REQUIRE(stopped.has_value());
}

}  // namespace

TEST_CASE("what is ready is not probed again, until it was stopped") {
  Probed one;
  CHECK(one.look() == Status::running);
  CHECK(one.look() == Status::running);
  CHECK(one.probe->asked == 1);
  // The looks until the next start may all fail: it is not taken for ready then.
  one.loop.run(stop_once(*one.backend));
  one.probe->ready = false;
  CHECK(one.look() == Status::starting);
}

TEST_CASE("what the backend tells of has it probed anew") {
  Probed one;
  CHECK(one.look() == Status::running);
  one.probe->ready = false;
  const auto until_told = [](Task<> task) -> Task<> { co_await either(std::move(task), sleep_for(50ms)); };
  one.inner->told.raise();
  one.loop.run(until_told(one.backend->watch([] {})));
  CHECK(one.look() == Status::starting);
}

TEST_CASE("what somebody was refused at is probed anew") {
  Probed one;
  CHECK(one.look() == Status::running);
  one.probe->ready = false;
  one.backend->doubt();
  CHECK(one.look() == Status::starting);
}

TEST_CASE("a datagram port is taken by who has it at that address or at all, and is connected to nobody") {
  const auto takes = [](const std::string& local, const std::string& far, const std::string& dialled) {
    return takes_datagrams("  12: " + local + " " + far + " 07 00000000:00000000 00:00000000",
                           *EndpointUrl::parse("udp://" + dialled));
  };
  const std::string nobody = "00000000:0000", every = "00000000:1F90", loopback = "0100007F:1F90";
  CHECK(takes(loopback, nobody, "127.0.0.1:8080"));
  CHECK(takes(loopback, nobody, "localhost:8080"));
  CHECK(takes(every, nobody, "127.0.0.1:8080"));
  CHECK_FALSE(takes(loopback, nobody, "127.0.0.1:8081"));
  CHECK_FALSE(takes(loopback, nobody, "127.0.0.2:8080"));
  CHECK_FALSE(takes(loopback, "0100007F:0035", "127.0.0.1:8080"));
  const std::string nobody6 = "00000000000000000000000000000000:0000";
  CHECK(takes("00000000000000000000000000000000:1F90", nobody6, "127.0.0.1:8080"));
  CHECK(takes("00000000000000000000000001000000:1F90", nobody6, "[::1]:8080"));
  CHECK(takes("00000000000000000000000001000000:1F90", nobody6, "localhost:8080"));
  CHECK_FALSE(takes(every, nobody, "[::1]:8080"));
  CHECK_FALSE(takes("0000000000000000FFFF00000100007F:1F90", nobody6, "[::1]:8080"));
  CHECK_FALSE(takes_datagrams("nonsense", *EndpointUrl::parse("udp://127.0.0.1:1")));
}

namespace {

std::string folder_of_doors(const std::string& runtime) {
  const char* set = std::getenv("XDG_RUNTIME_DIR");
  const std::string before = set ? set : "";
  ::setenv("XDG_RUNTIME_DIR", runtime.c_str(), 1);
  std::vector<Forward> forwards = {*Forward::parse("tcp://:1=guest+tcp://127.0.0.1:80")};
  const auto doors = SandboxForwards::make(forwards);
  if (set)
    ::setenv("XDG_RUNTIME_DIR", before.c_str(), 1);
  else
    ::unsetenv("XDG_RUNTIME_DIR");
  REQUIRE(doors.has_value());
  return forwards[0].dial.path;
}

}  // namespace

TEST_CASE("a sandbox's sockets are in the runtime folder, or in /tmp where its name does not do") {
  const BackendFolder folder;
  const std::string plain = folder.path + "/run", odd = folder.path + "/a=b ?c",
                    deep = folder.path + "/" + std::string(60, 'x');
  for (const auto& place : {plain, odd, deep}) std::filesystem::create_directory(place);
  CHECK(folder_of_doors(plain).starts_with(plain + "/nsrun-wake-"));
  CHECK(folder_of_doors(odd).starts_with("/tmp/nsrun-wake-"));
  CHECK(folder_of_doors(deep).starts_with("/tmp/nsrun-wake-"));
  CHECK(folder_of_doors("relative").starts_with("/tmp/nsrun-wake-"));
}
