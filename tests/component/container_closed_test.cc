#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "tests/support/container_fake_host.h"
#include "tests/support/container_skip.h"

// What the agent makes of a closed sandbox. tests/e2e/test_side_doors.py and test_unix_doors.py try to get
// out of one.

using namespace nsrun;
using Catch::Contains;

namespace {

AgentOptions closed(const std::string& script) {
  auto options = shell(script);
  options.closed = true;
  return options;
}

AgentOptions closed_as_root(const std::string& script) {
  auto options = closed(script);
  options.command.privileged = true;
  options.ids = single_id_map(true);
  return options;
}

std::string output_of(const AgentOptions& options) {
  FakeHost host(options);
  host.start_command();
  return host.read_all();
}

// A unix socket that listens at a path of its own.
class Listener {
 public:
  Listener() : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    REQUIRE(::mkdtemp(directory_));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(socket_.get(), 1) == 0);
  }
  ~Listener() {
    ::unlink(path().c_str());
    ::rmdir(directory_);
  }
  std::string path() const { return std::string(directory_) + "/socket"; }

 private:
  char directory_[32] = "/tmp/nsrun-closed-XXXXXX";
  UniqueFd socket_;
};

}  // namespace

TEST_CASE("a closed sandbox has processes, a network and shared memory of its own, and its user's ids") {
  if (skip(why_no_sandbox())) return;
  const auto text =
      output_of(closed("id -u; ls /proc | grep -c '^[0-9]'; ls -A /dev/shm; cat /proc/net/route"));
  CHECK_THAT(text, Catch::StartsWith(std::to_string(::geteuid()) + "\n"));
  CHECK_THAT(text, Contains("tun0\t00000000\t0202000A"));
  CHECK(std::stoi(text.substr(text.find('\n') + 1)) <= 5);  // agent, shell, ls, grep, perhaps a subshell
}

TEST_CASE("root in a closed sandbox has every capability there, and lifts no cover") {
  if (skip(why_no_sandbox())) return;
  CHECK(output_of(
            closed_as_root("exec 2>/dev/null; mount -t tmpfs none /mnt && umount /mnt && echo mounts; "
                           "umount /dev/shm || umount -l /dev/shm || echo locked; "
                           "umount -l /etc/resolv.conf || echo locked; umount -l /proc || echo locked")) ==
        "mounts\nlocked\nlocked\nlocked\n");
}

// No program here may look up a name: nobody answers its connect to nscd. ("+5" is no name to chown.)
TEST_CASE("with subordinate ranges a closed sandbox's guest can be other users too") {
  if (skip(why_no_sandbox())) return;
  const auto ids = full_id_map(true);
  if (!ids && skip(ids.error().message())) return;
  auto options = closed_as_root("cd /tmp; f=$(mktemp) && chown +5:+6 $f && stat -c '%u %g' $f; rm $f; id -u");
  options.ids = *ids;
  CHECK(output_of(options) == "5 6\n0\n");
}

TEST_CASE("a unix socket of outside is covered, unless it is allowed") {
  if (skip(why_no_sandbox())) return;
  const Listener listener;
  auto options = closed("test -S " + listener.path() + " && echo there");
  CHECK(output_of(options).empty());
  options.allowed_unix = {listener.path()};
  CHECK(output_of(options) == "there\n");
  options.allowed_unix = {"*"};
  CHECK(output_of(options) == "there\n");
}

TEST_CASE("what is allowed and is no socket keeps the sandbox from starting") {
  if (skip(why_no_sandbox())) return;
  auto options = closed("echo never");
  options.allowed_unix = {GENERATE("/dev/null", "/nowhere/socket")};
  FakeHost host(options);
  const auto failed = host.await(MessageType::failed);
  CHECK(failed.number == static_cast<int>(ExitCode::usage));
  CHECK_THAT(failed.body, Contains("--allow-unix '" + options.allowed_unix[0] + "' is no unix socket"));
}

TEST_CASE("without a terminal a closed sandbox's command has a process group of its own") {
  if (skip(why_no_sandbox())) return;
  const UniqueFd terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (terminal && skip("there is a terminal")) return;
  // proc_pid_stat(5): pid (name) state parent group
  CHECK(output_of(closed("set -- $(cat /proc/$$/stat); test $1 = $5 && echo own")) == "own\n");
  CHECK(output_of(shell("set -- $(cat /proc/$$/stat); test $1 = $5 && echo own")).empty());
}
