#include "host/services/loop_watchdog.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>

#include "runtime/fd.h"
#include "tests/support/catch.h"

using namespace nsrun;

namespace {

// A process with a loop that has a watchdog, and its status once it was sent a SIGTERM. `blocked`: it reads
// the signal, else it handles it. `stuck`: the loop waits for what never comes.
int status_after_sigterm(bool blocked, bool stuck) {
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const UniqueFd reading(ready[0]);
  UniqueFd writing(ready[1]);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(30);
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGTERM);
    if (blocked) ::sigprocmask(SIG_BLOCK, &set, nullptr);
    asio::io_context loop(1);
    asio::signal_set handled(loop);
    if (!blocked) handled.add(SIGTERM);
    handled.async_wait([](auto, int) {});
    const auto keep_running = asio::make_work_guard(loop);
    asio::post(loop, [&] {
      (void)!::write(writing.get(), "x", 1);
      int never[2];
      if (!stuck || ::pipe(never) < 0) return;
      // A signal that is handled on this thread only interrupts the read.
      while (::read(never[0], never, 1) < 0 && errno == EINTR) {
      }
    });
    LoopWatchdog watchdog(loop, 300ms);
    loop.run_for(1500ms);
    ::_exit(7);
  }
  writing.reset();
  char byte = 0;
  REQUIRE(::read(reading.get(), &byte, 1) == 1);
  ::kill(child, SIGTERM);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace

TEST_CASE("a loop that does not go on after a SIGTERM is ended with its process") {
  CHECK(status_after_sigterm(true, true) == 128 + SIGTERM);
  CHECK(status_after_sigterm(false, true) == 128 + SIGTERM);
}

TEST_CASE("a loop that goes on decides itself what a SIGTERM means") {
  CHECK(status_after_sigterm(true, false) == 7);
  CHECK(status_after_sigterm(false, false) == 7);
}
