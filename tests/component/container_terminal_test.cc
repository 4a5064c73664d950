#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>

#include <cstdlib>
#include "tests/support/catch.h"

#include "tests/support/container_fake_host.h"
#include "tests/support/container_skip.h"

// A terminal's foreground process group holds host, agent and command alike:
//
//   test ── pseudo-terminal ── [ host (FakeHost) ── agent ── sleep ]

using namespace nsrun;

namespace {

// The host, as leader of the terminal's session. Ends as the command did.
int host_on_terminal(int terminal, int ready) {
  ::setsid();
  if (::ioctl(terminal, TIOCSCTTY, 0) < 0) return 1;
  const auto options = shell("echo ready; exec sleep 1000");
  sigset_t keys;  // which the real host handles
  ::sigemptyset(&keys);
  ::sigaddset(&keys, SIGINT);
  ::sigaddset(&keys, SIGQUIT);
  ::sigprocmask(SIG_BLOCK, &keys, nullptr);
  FakeHost host(options);
  host.start_command();
  if (host.read_line() != "ready" || ::write(ready, "r", 1) != 1) return 2;
  return host.await_exit();
}

}  // namespace

TEST_CASE("a key that interrupts reaches the command, and leaves the agent to report it") {
  if (skip(why_no_sandbox())) return;
  const auto [key, expected] = GENERATE(table<char, int>({{'\x03', 128 + SIGINT}, {'\x1c', 128 + SIGQUIT}}));
  const UniqueFd keyboard(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!keyboard || ::grantpt(keyboard.get()) < 0 || ::unlockpt(keyboard.get()) < 0) {
    if (skip("there are no pseudo-terminals here")) return;
  }
  const UniqueFd terminal(::open(::ptsname(keyboard.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE(terminal);
  int pipe[2];
  REQUIRE(::pipe2(pipe, O_CLOEXEC) == 0);
  const UniqueFd reading(pipe[0]);
  UniqueFd writing(pipe[1]);

  Command command;
  command.run = [&] { return host_on_terminal(terminal.get(), writing.get()); };
  auto host = start(command);
  REQUIRE(host.has_value());
  writing.reset();
  char ready = 0;
  REQUIRE(::read(reading.get(), &ready, 1) == 1);
  REQUIRE(::write(keyboard.get(), &key, 1) == 1);
  CHECK(host->wait() == expected);
}
