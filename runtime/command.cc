#include "runtime/command.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cstdlib>

#include "runtime/namespace_error.h"

namespace nsrun {
namespace {

// Moves the descriptors to first_fd and up, without close-on-exec. They are first lifted above all targets,
// so that none overwrites another.
bool place_descriptors(const std::vector<UniqueFd>& fds, int first_fd) {
  const int base = first_fd + static_cast<int>(fds.size());
  std::vector<int> lifted;
  for (const auto& fd : fds) {
    const int copy = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, base);
    if (copy < 0) return false;
    lifted.push_back(copy);
  }
  for (std::size_t i = 0; i < lifted.size(); ++i)
    if (::dup2(lifted[i], first_fd + static_cast<int>(i)) < 0) return false;
  return true;
}

bool write_file(const char* path, const std::string& text) {
  const UniqueFd file(::open(path, O_WRONLY | O_CLOEXEC));
  return file && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

[[noreturn]] void child(Command& command, uid_t uid, gid_t gid) {
  if ((command.clone_flags & CLONE_NEWUSER) && !command.ids_from_host) {
    (void)write_file("/proc/self/setgroups", "deny");
    const bool mapped = write_file("/proc/self/uid_map",
                                   std::to_string(command.inside_uid) + " " + std::to_string(uid) + " 1\n") &&
                        write_file("/proc/self/gid_map",
                                   std::to_string(command.inside_gid) + " " + std::to_string(gid) + " 1\n");
    if (!mapped) ::_exit(static_cast<int>(ExitCode::no_namespace));
  }
  if (!place_descriptors(command.extra_fds, command.first_fd)) ::_exit(static_cast<int>(ExitCode::failed));
  if (command.run) ::_exit(command.run());
  std::vector<char*> argv, environment;
  for (auto& word : command.argv) argv.push_back(word.data());
  argv.push_back(nullptr);
  for (auto& word : command.environment) environment.push_back(word.data());
  environment.push_back(nullptr);
  if (command.environment.empty())
    ::execvp(argv[0], argv.data());
  else
    ::execvpe(argv[0], argv.data(), environment.data());
  ::_exit(static_cast<int>(errno == ENOENT ? ExitCode::not_found : ExitCode::not_executable));
}

}  // namespace

Result<Process> start(Command& command) {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  // clone(2) as fork: no new stack. The kernel writes the pidfd for us, so there is no window in which the
  // pid could be another's.
  int pidfd = -1;
  const long pid =
      ::syscall(SYS_clone, static_cast<unsigned long>(command.clone_flags) | CLONE_PIDFD | SIGCHLD, nullptr,
                &pidfd, nullptr, 0);
  if (pid < 0) {
    const int number = errno;
    if (command.clone_flags) return namespace_error(number, read_namespace_settings());
    return errno_error("cannot start a child process");
  }
  if (pid == 0) child(command, uid, gid);
  command.extra_fds.clear();
  return Process(static_cast<pid_t>(pid), UniqueFd(pidfd));
}

Process& Process::operator=(Process&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(pidfd_, other.pidfd_);
  return *this;
}

Process::~Process() {
  if (pid_ < 0) return;
  kill(SIGKILL);
  wait();
}

int Process::wait() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return exit_status(status);
}

void Process::kill(int signal) const { ::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0); }

int exit_status(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

}  // namespace nsrun
