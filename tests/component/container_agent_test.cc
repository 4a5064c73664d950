#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <fstream>
#include "tests/support/catch.h"

#include "tests/support/container_fake_host.h"
#include "tests/support/container_skip.h"

// The agent in real namespaces, against a host that only speaks the handshake:
//
//   test (FakeHost) ── socket pair ── agent (user, net, mount namespaces) ── sh -c SCRIPT
//         ▲                                                                     │
//         └────────────────────────── pipe: standard output ────────────────────┘

using namespace nsrun;
using Catch::Contains;

TEST_CASE("the agent hands the device over, waits for go, and reports the command's start and end") {
  if (skip(why_no_sandbox())) return;
  auto options = shell("echo up; exit 7");
  options.network.mtu = 9000;
  FakeHost host(options);
  host.start_command();
  CHECK(host.device);
  CHECK(host.mtu == 9000);
  CHECK(host.heard.back().number > 0);
  CHECK(host.read_line() == "up");
  CHECK(host.await_exit() == 7);
  host.leave();
  CHECK(host.wait_for_agent() == 7);
}

TEST_CASE("the end of a command by signal n is 128 + n") {
  if (skip(why_no_sandbox())) return;
  FakeHost host(shell("kill -KILL $$"));
  host.start_command();
  CHECK(host.await_exit() == 128 + SIGKILL);
}

TEST_CASE("the command's output ends with the command, not with the agent") {
  if (skip(why_no_sandbox())) return;
  FakeHost host(shell("echo last"));
  host.start_command();
  CHECK(host.read_all() == "last\n");
}

TEST_CASE("a signal from the host reaches the command") {
  if (skip(why_no_sandbox())) return;
  FakeHost host(shell("trap 'echo got it; exit 9' TERM; echo ready; while :; do sleep 0.01; done"));
  host.start_command();
  CHECK(host.read_line() == "ready");
  host.send({MessageType::signal, SIGTERM});
  CHECK(host.await_exit() == 9);
  CHECK(host.read_line() == "got it");
}

TEST_CASE(
    "an agent whose limits the guest lowered still passes signals on, and ends the sandbox with the host") {
  if (skip(why_no_sandbox())) return;
  const bool pid_namespace = GENERATE(false, true);
  auto options = shell(
      "(setsid sleep 1000 >/dev/null & echo $!); trap 'echo got it' TERM; "
      "prlimit --pid $PPID --nofile=0:0 --nproc=0:0 --sigpending=0:0 || exit 1; "
      "echo lowered; while :; do sleep 0.01; done");
  options.namespaces.pid = pid_namespace;
  FakeHost host(options);
  host.start_command();
  const auto daemon = std::stoi(host.read_line());
  REQUIRE(host.read_line() == "lowered");
  host.send({MessageType::signal, SIGTERM});
  CHECK(host.read_line() == "got it");
  host.leave();
  host.wait_for_agent();
  if (!pid_namespace) CHECK_FALSE(exists(daemon));
  CHECK(host.read_all().empty());
}

TEST_CASE("a signal before the command starts ends the sandbox") {
  if (skip(why_no_sandbox())) return;
  FakeHost host(shell("echo never"));
  host.await(MessageType::device);
  host.send({MessageType::signal, SIGTERM});
  CHECK(host.await(MessageType::failed).number == 128 + SIGTERM);
  CHECK(host.read_all().empty());
}

TEST_CASE("a stopped command is reported, and goes on when the host says so") {
  if (skip(why_no_sandbox())) return;
  FakeHost host(shell("kill -STOP $$; exit 4"));
  host.start_command();
  CHECK(host.await(MessageType::stopped).number == SIGSTOP);
  host.send({MessageType::signal, SIGCONT});
  CHECK(host.await_exit() == 4);
}

TEST_CASE("the word that a stop is over does not undo the next stop") {
  if (skip(why_no_sandbox())) return;
  FakeHost host(shell("kill -STOP $$; kill -STOP $$; exit 4"));
  host.start_command();
  const pid_t command = host.heard.back().number;
  const auto is_stopped = [&] {
    std::ifstream status("/proc/" + std::to_string(command) + "/stat");
    const std::string text(std::istreambuf_iterator<char>(status), {});
    return text.substr(text.rfind(')') + 2, 1) == "T";
  };
  const auto first = host.await(MessageType::stopped).body;
  host.send({MessageType::resume, 0, first});
  const auto second = host.await(MessageType::stopped).body;
  CHECK(second != first);
  host.send({MessageType::resume, 0, first});
  host.send({MessageType::make_sockets, 1, std::string{AF_INET, SOCK_STREAM}});
  host.await(MessageType::sockets);  // so the late word has been heard
  CHECK(is_stopped());
  host.send({MessageType::resume, 0, second});
  CHECK(host.await_exit() == 4);
}

TEST_CASE("the command starts with the signal state nsrun was given, not nsrun's own") {
  if (skip(why_no_sandbox())) return;
  ::signal(SIGHUP, SIG_IGN);
  auto options = shell("grep -E 'SigBlk|SigIgn' /proc/self/status");
  ::signal(SIGHUP, SIG_DFL);
  ::signal(SIGPIPE, SIG_IGN);
  FakeHost host(options);
  ::signal(SIGPIPE, SIG_DFL);
  host.start_command();
  CHECK(host.read_line() == "SigBlk:\t0000000000000000");
  CHECK(host.read_line() == "SigIgn:\t0000000000000001");
}

TEST_CASE("what the command left behind ends with it, however it was daemonised") {
  if (skip(why_no_sandbox())) return;
  FakeHost host(shell("(setsid sleep 1000 > /dev/null & echo $!); exit 5"));
  host.start_command();
  const auto daemon = std::stoi(host.read_line());
  CHECK(host.await_exit() == 5);
  CHECK_FALSE(exists(daemon));
}

TEST_CASE("with linger the sandbox lasts until its last process has ended") {
  if (skip(why_no_sandbox())) return;
  int pipe[2];
  REQUIRE(::pipe2(pipe, O_CLOEXEC) == 0);
  const UniqueFd reading(::fcntl(pipe[0], F_DUPFD, 9));
  ::close(pipe[0]);
  UniqueFd writing(pipe[1]);
  auto options = shell("cat /proc/self/fd/" + std::to_string(reading.get()) + " > /dev/null & exit 3");
  options.linger = true;
  options.kept_fds = {reading.get()};
  FakeHost host(options);
  host.start_command();
  CHECK(host.read_all().empty());  // the shell's end of the pipe is closed: it has ended
  host.send({MessageType::make_sockets, 1, std::string{AF_INET, SOCK_DGRAM}});
  CHECK(host.await(MessageType::sockets).number == 1);
  writing.reset();
  CHECK(host.await_exit() == 3);
}

TEST_CASE("when the host dies, everything in the sandbox does") {
  if (skip(why_no_sandbox())) return;
  FakeHost host(shell("(setsid sleep 1000 >/dev/null & echo $!); echo $$; exec sleep 1000"));
  host.start_command();
  const auto daemon = std::stoi(host.read_line());
  const auto command = std::stoi(host.read_line());
  host.leave();
  host.wait_for_agent();
  CHECK_FALSE(exists(daemon));
  CHECK_FALSE(exists(command));
}

TEST_CASE("when the host dies before the command starts, the agent ends") {
  if (skip(why_no_sandbox())) return;
  FakeHost host(shell("echo never"));
  host.await(MessageType::device);
  host.leave();
  CHECK(host.wait_for_agent() == static_cast<int>(ExitCode::failed));
  CHECK(host.read_all().empty());
}

TEST_CASE("a command that does not exist is told as such") {
  if (skip(why_no_sandbox())) return;
  auto options = shell("");
  options.command.argv = {"no-such-command"};
  FakeHost host(options);
  host.bring_up();
  const auto failed = host.await(MessageType::failed);
  CHECK(failed.number == 127);
  CHECK(failed.body == "no-such-command: command not found");
}

TEST_CASE("a path that leads to no program is told as such") {
  if (skip(why_no_sandbox())) return;
  const auto [path, status, expected] =
      GENERATE(table<std::string, int, std::string>({{"./no/such", 127, "No such file"},
                                                     {"/dev/null/x", 127, "Not a directory"},
                                                     {"/tmp", 126, "Is a directory"}}));
  auto options = shell("");
  options.command.argv = {path};
  FakeHost host(options);
  host.bring_up();
  const auto failed = host.await(MessageType::failed);
  CHECK(failed.number == status);
  CHECK_THAT(failed.body, Contains(path) && Contains(expected));
}

TEST_CASE("a file that cannot be executed is told as such, and why") {
  if (skip(why_no_sandbox())) return;
  const std::string file = "/tmp/nsrun-test-" + std::to_string(::getpid());
  const auto [mode, wrote, expected] = GENERATE(
      table<int, std::string, std::string>({{0644, "#!/bin/sh\n", "Permission denied"},
                                            {0755, "#! /no/such/interpreter -x\n", "/no/such/interpreter"}}));
  std::ofstream(file) << wrote;
  ::chmod(file.c_str(), static_cast<mode_t>(mode));
  auto options = shell("");
  options.command.argv = {file};
  FakeHost host(options);
  host.bring_up();
  const auto failed = host.await(MessageType::failed);
  ::unlink(file.c_str());
  CHECK(failed.number == 126);
  CHECK_THAT(failed.body, Contains(file) && Contains(expected));
}

TEST_CASE("what the host says when it cannot go on comes back as the agent's failure") {
  if (skip(why_no_sandbox())) return;
  FakeHost host(shell("echo never"));
  host.await(MessageType::device);
  host.send({MessageType::failed, 42, "no stack today"});
  const auto failed = host.await(MessageType::failed);
  CHECK(failed.number == 42);
  CHECK(failed.body == "no stack today");
}

TEST_CASE("sockets for the host are made in the guest's network") {
  if (skip(why_no_sandbox())) return;
  FakeHost host(shell("read line < /dev/null; exec sleep 1000"));
  host.start_command();
  host.send({MessageType::make_sockets, 3, std::string{AF_INET6, SOCK_STREAM}});
  auto answer = host.await(MessageType::sockets);
  CHECK(answer.body == std::string{AF_INET6, SOCK_STREAM});
  REQUIRE(answer.fds.size() == 3);
  CHECK((::fcntl(answer.fds[2].get(), F_GETFL) & O_NONBLOCK) != 0);

  std::uint64_t inside = 0, outside = 0;
  socklen_t size = sizeof inside;
  const UniqueFd own(::socket(AF_INET6, SOCK_STREAM, 0));
  REQUIRE(::getsockopt(answer.fds[0].get(), SOL_SOCKET, SO_NETNS_COOKIE, &inside, &size) == 0);
  REQUIRE(::getsockopt(own.get(), SOL_SOCKET, SO_NETNS_COOKIE, &outside, &size) == 0);
  CHECK(inside != outside);

  host.send({MessageType::make_sockets, 1, std::string{AF_UNIX, SOCK_STREAM}});
  CHECK(host.await(MessageType::sockets).fds.empty());
}

TEST_CASE("sockets that the host is to listen at are made before the command starts") {
  if (skip(why_no_sandbox())) return;
  FakeHost host(shell("true"));
  host.await(MessageType::device);
  host.send({MessageType::make_sockets, 1, std::string{AF_INET, SOCK_STREAM}});
  auto answer = host.await(MessageType::sockets);
  REQUIRE(answer.fds.size() == 1);
  // A port below 1024: the namespace is ours.
  const SocketAddress here(Endpoint{IpAddress::v4(127, 0, 0, 1), 80});
  CHECK(::bind(answer.fds[0].get(), here.get(), here.length) == 0);
  CHECK(::listen(answer.fds[0].get(), 1) == 0);
  host.send({MessageType::go});
  CHECK(host.await(MessageType::started).type == MessageType::started);
}
