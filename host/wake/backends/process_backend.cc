// The child leads a process group, so that what it starts ends with it: SIGTERM to all of the group, and when
// the leader has ended, or had its time, SIGKILL to what is left. The leader is reaped last: until then its
// number, and so the group's, is nobody else's. Should we be killed, the kernel sends it SIGTERM.

#include "host/wake/backends/process_backend.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "host/wake/backends/run_program.h"

namespace nsrun {
namespace {

// In the child. Only what is safe between fork and exec.
int become(const std::vector<const char*>& argv, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) return static_cast<int>(ExitCode::failed);
  ::execv(argv[0], const_cast<char* const*>(argv.data()));
  return static_cast<int>(ExitCode::not_found);
}

std::string how_it_ended(int status) {
  if (status > 128) return "signal " + std::to_string(status - 128);
  return "status " + std::to_string(status);
}

}  // namespace

ProcessBackend::Program ProcessBackend::shell(std::string command) {
  std::vector<std::string> argv = {"/bin/sh", "-c", command};
  return {std::move(command), std::move(argv)};
}

ProcessBackend::ProcessBackend(Executor executor, Program program, Clock::duration stop_limit, Say say)
    : executor_(executor),
      program_(std::move(program)),
      stop_limit_(stop_limit),
      say_(std::move(say)),
      started_(executor) {}

ProcessBackend::~ProcessBackend() {
  if (!is_alive()) return;
  signal_group(SIGTERM);
  pollfd ended{process_.pidfd(), POLLIN, 0};
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(stop_limit_);
  ::poll(&ended, 1, static_cast<int>(limit.count()));
  bury();
}

Task<Result<Backend::Status>> ProcessBackend::status() {
  if (!is_alive()) co_return Status::idle;
  if (!has_ended()) co_return Status::running;
  say_("'" + program_.name + "' ended by itself, with " + how_it_ended(bury()));
  co_return Status::idle;
}

Task<Result<void>> ProcessBackend::start() {
  if (is_alive() && !has_ended()) co_return Result<void>();
  if (is_alive()) bury();
  auto nothing = open_nothing();
  if (!nothing) co_return nothing.error();
  Command command;
  command.first_fd = STDIN_FILENO;
  command.extra_fds.push_back(std::move(*nothing));
  command.usual_signals = true;
  std::vector<const char*> argv;
  for (const auto& word : program_.argv) argv.push_back(word.c_str());
  argv.push_back(nullptr);
  command.run = [argv = std::move(argv), parent = ::getpid()] { return become(argv, parent); };
  auto process = nsrun::start(command);
  if (!process) co_return process.error();
  process_ = std::move(*process);
  ::setpgid(process_.pid(), process_.pid());  // whoever is first, the child or we
  started_.raise();
  co_return Result<void>();
}

Task<Result<void>> ProcessBackend::stop() {
  if (!is_alive()) co_return Result<void>();
  signal_group(SIGTERM);
  Descriptor ended(executor_, ::fcntl(process_.pidfd(), F_DUPFD_CLOEXEC, 3));
  co_await within(stop_limit_, readable(ended));
  signal_group(SIGKILL);
  co_await readable(ended);
  bury();
  co_return Result<void>();
}

Task<> ProcessBackend::watch(std::function<void()> changed) {
  for (;;) {
    co_await started_.wait();
    if (!is_alive()) continue;
    Descriptor ended(executor_, ::fcntl(process_.pidfd(), F_DUPFD_CLOEXEC, 3));
    co_await readable(ended);
    changed();
  }
}

bool ProcessBackend::has_ended() const {
  pollfd ended{process_.pidfd(), POLLIN, 0};
  return ::poll(&ended, 1, 0) > 0;
}

// It ends now, if it has not, with all of its group.
int ProcessBackend::bury() {
  signal_group(SIGKILL);
  const int status = process_.wait();
  process_ = Process();
  return status;
}

// One that has left its group is alone.
void ProcessBackend::signal_group(int signal) const {
  if (::kill(-process_.pid(), signal) != 0) process_.kill(signal);
}

}  // namespace nsrun
