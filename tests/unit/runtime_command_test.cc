#include "runtime/command.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include "tests/support/catch.h"

using namespace nsrun;

namespace {

Command shell(const std::string& script) {
  Command command;
  command.argv = {"sh", "-c", script};
  return command;
}

int exit_status(Command command) {
  auto process = start(command);
  REQUIRE(process.has_value());
  return process->wait();
}

// What the command wrote to descriptor 3.
std::string written_by(Command command) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const UniqueFd reader(ends[0]);
  command.extra_fds.emplace_back(ends[1]);
  auto process = start(command);
  REQUIRE(process.has_value());
  std::string text;
  char buffer[256];
  for (ssize_t size; (size = ::read(reader.get(), buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(size));
  CHECK(process->wait() == 0);
  return text;
}

bool gone(pid_t pid) { return ::kill(pid, 0) < 0 && errno == ESRCH; }

}  // namespace

TEST_CASE("a command's exit status passes through") {
  CHECK(exit_status(shell("exit 0")) == 0);
  CHECK(exit_status(shell("exit 42")) == 42);
}

TEST_CASE("a command that a signal ended has status 128 and the signal's number") {
  CHECK(exit_status(shell("kill -TERM $$")) == 128 + SIGTERM);
  CHECK(exit_status(SIGKILL) == 128 + SIGKILL);
  CHECK(exit_status(3 << 8) == 3);
}

TEST_CASE("a command that is not there has status 127, one that cannot be executed 126") {
  Command command;
  command.argv = {"/nonexistent/program"};
  CHECK(exit_status(std::move(command)) == static_cast<int>(ExitCode::not_found));
  Command directory;
  directory.argv = {"/"};
  CHECK(exit_status(std::move(directory)) == static_cast<int>(ExitCode::not_executable));
}

TEST_CASE("extra descriptors become 3 and up, whatever numbers they had") {
  int first[2], second[2];
  REQUIRE(::pipe2(first, O_CLOEXEC) == 0);
  REQUIRE(::pipe2(second, O_CLOEXEC) == 0);
  Command command = shell("echo one >&3; echo two >&4; { true >&5; } 2>&- && exit 9; exit 0");
  // The second pipe's end is likely to stand where the first is to go, and the other way round.
  command.extra_fds.emplace_back(second[1]);
  command.extra_fds.emplace_back(first[1]);
  CHECK(exit_status(std::move(command)) == 0);
  char text[8] = {};
  CHECK(::read(second[0], text, sizeof text) == 4);
  CHECK(std::string(text) == "one\n");
  CHECK(::read(first[0], text, sizeof text) == 4);
  CHECK(std::string(text) == "two\n");
  ::close(first[0]);
  ::close(second[0]);
}

TEST_CASE(
    "a descriptor that would not fit below the limit on open files is an error before anything starts") {
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const rlimit low{200, limit.rlim_max};
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const UniqueFd reader(ends[0]);
  Command command = shell("true");
  command.extra_fds.emplace_back(ends[1]);
  command.first_fd = 200;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
  const auto process = start(command);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  REQUIRE_FALSE(process.has_value());
  CHECK(process.error().code == errno_code(EMFILE));
}

TEST_CASE("a command has the environment it is given, or this process's own") {
  Command given = shell("echo \"$NSRUN_TEST\" >&3");
  given.environment = {"NSRUN_TEST=given", "PATH=/usr/bin:/bin"};
  CHECK(written_by(std::move(given)) == "given\n");
  ::setenv("NSRUN_TEST", "inherited", 1);
  CHECK(written_by(shell("echo \"$NSRUN_TEST\" >&3")) == "inherited\n");
  ::unsetenv("NSRUN_TEST");
}

TEST_CASE("a function can run in place of a program, with the same descriptors") {
  Command command;
  command.run = [] { return ::write(3, "here", 4) == 4 ? 0 : 1; };
  CHECK(written_by(std::move(command)) == "here");
  Command failing;
  failing.run = [] { return 11; };
  CHECK(exit_status(std::move(failing)) == 11);
}

TEST_CASE("a process that goes takes its child with it") {
  pid_t pid = -1;
  {
    Command command = shell("exec sleep 600");
    auto process = start(command);
    REQUIRE(process.has_value());
    pid = process->pid();
    CHECK_FALSE(gone(pid));
  }
  CHECK(gone(pid));
}

TEST_CASE("a process that takes another's place ends its own child") {
  Command first = shell("exec sleep 600"), second = shell("exit 5");
  auto process = start(first);
  REQUIRE(process.has_value());
  const pid_t pid = process->pid();
  *process = std::move(*start(second));
  CHECK(gone(pid));
  CHECK(process->wait() == 5);
}

TEST_CASE("a child that can no longer be waited for has not succeeded") {
  Command command = shell("exit 0");
  auto process = start(command);
  REQUIRE(process.has_value());
  int status;
  REQUIRE(::waitpid(process->pid(), &status, 0) == process->pid());  // somebody else was first
  CHECK(process->wait() == static_cast<int>(ExitCode::failed));
  CHECK(process->wait() == static_cast<int>(ExitCode::failed));  // and there is no other child to mistake
}
