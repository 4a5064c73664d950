#include "host/sandbox/inject/presence.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <future>
#include <string>
#include <thread>
#include <vector>
#include "tests/support/catch.h"

using namespace nsrun;

namespace {

// The number of the system call that the thread is in.
long call_of(pid_t thread) {
  std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/syscall");
  long number = -1;
  file >> number;
  return number;
}

}  // namespace

TEST_CASE("a thread that is here cannot be written off, and one that comes back in time goes on") {
  Presence presence;
  std::promise<void> here, asked, went_on;
  std::thread thread([&, wait = asked.get_future()] {
    presence.arrive();
    here.set_value();
    wait.wait();
    presence.away([&] { presence.away([] {}); });
    went_on.set_value();
    presence.depart();
  });
  here.get_future().wait();
  CHECK_FALSE(presence.write_off());
  asked.set_value();
  went_on.get_future().wait();
  thread.join();
}

TEST_CASE("a thread that was written off while it was away touches nothing when it comes back") {
  // What it has is its own for ever.
  struct Own {
    Presence presence;
    std::promise<pid_t> away;
    std::promise<void> call_ends;
    std::atomic<bool> went_on = false;
  };
  auto& own = *new Own;
  static auto& kept = *new std::vector<std::thread*>;  // it is never joined
  kept.push_back(new std::thread([&own, wait = own.call_ends.get_future()] {
    own.presence.arrive();
    own.presence.away([&] {
      own.away.set_value(static_cast<pid_t>(::syscall(SYS_gettid)));
      wait.wait();
    });
    own.went_on = true;
  }));
  const pid_t thread = own.away.get_future().get();
  CHECK(own.presence.write_off());
  own.call_ends.set_value();
#ifdef SYS_pause
  constexpr long asleep = SYS_pause;
#else
  constexpr long asleep = SYS_ppoll;
#endif
  while (call_of(thread) != asleep && !own.went_on) std::this_thread::yield();
  CHECK_FALSE(own.went_on);
}
