#include "runtime/command.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cstdlib>
#include <string_view>
#include <utility>

#include "runtime/namespace_error.h"

namespace nsrun {
namespace {

constexpr auto more_descriptors = "raise the limit on open files: ulimit -n";

// What the child needs between clone and exec, made before: the clone does not take the allocator's locks,
// and in a process with more threads one of them may hold them.
struct Prepared {
  explicit Prepared(Command& command)
      : uid_line(std::to_string(command.inside_uid) + " " + std::to_string(::geteuid()) + " 1\n"),
        gid_line(std::to_string(command.inside_gid) + " " + std::to_string(::getegid()) + " 1\n") {
    for (auto& word : command.argv) argv.push_back(word.data());
    argv.push_back(nullptr);
    for (auto& word : command.environment) environment.push_back(word.data());
    environment.push_back(nullptr);
  }

  std::string uid_line, gid_line;  // of the id maps (user_namespaces(7))
  std::vector<char*> argv, environment;
  std::vector<UniqueFd> lifted;
};

// Copies of the descriptors above all numbers that they are to have, so that none overwrites another. Made
// before the clone: where they find no room, the caller learns why.
Result<std::vector<UniqueFd>> lift_descriptors(const Command& command) {
  const int base = command.first_fd + static_cast<int>(command.extra_fds.size());
  std::vector<UniqueFd> lifted;
  for (const UniqueFd& fd : command.extra_fds) {
    lifted.emplace_back(::fcntl(fd.get(), F_DUPFD_CLOEXEC, base));
    if (lifted.back()) continue;
    if (errno == EINVAL) errno = EMFILE;  // `base` itself is beyond the limit
    return errno_error("cannot pass a descriptor to the child process", more_descriptors);
  }
  return lifted;
}

// Moves them to first_fd and up, without close-on-exec.
bool place_descriptors(const Command& command, const std::vector<UniqueFd>& lifted) {
  for (std::size_t i = 0; i < lifted.size(); ++i)
    if (::dup2(lifted[i].get(), command.first_fd + static_cast<int>(i)) < 0) return false;
  return true;
}

bool write_file(const char* path, std::string_view text) {
  const UniqueFd file(::open(path, O_WRONLY | O_CLOEXEC));
  return file && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

void reset_signals() {
  for (int signal = 1; signal <= SIGRTMAX; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void child(const Command& command, Prepared& prepared) {
  if ((command.clone_flags & CLONE_NEWUSER) && !command.ids_from_host) {
    (void)write_file("/proc/self/setgroups", "deny");
    if (!write_file("/proc/self/uid_map", prepared.uid_line) ||
        !write_file("/proc/self/gid_map", prepared.gid_line))
      ::_exit(static_cast<int>(ExitCode::no_namespace));
  }
  if (!place_descriptors(command, prepared.lifted)) ::_exit(static_cast<int>(ExitCode::failed));
  if (command.usual_signals) reset_signals();
  if (command.run) ::_exit(command.run());
  char** const argv = prepared.argv.data();
  if (command.environment.empty())
    ::execvp(argv[0], argv);
  else
    ::execvpe(argv[0], argv, prepared.environment.data());
  ::_exit(static_cast<int>(errno == ENOENT ? ExitCode::not_found : ExitCode::not_executable));
}

}  // namespace

Result<Process> start(Command& command) {
  Prepared prepared(command);
  auto lifted = lift_descriptors(command);
  if (!lifted) return lifted.error();
  prepared.lifted = std::move(*lifted);
  // clone(2) as fork: no new stack. The kernel writes the pidfd for us, so there is no window in which the
  // pid could be another's.
  int pidfd = -1;
  const long pid =
      ::syscall(SYS_clone, static_cast<unsigned long>(command.clone_flags) | CLONE_PIDFD | SIGCHLD, nullptr,
                &pidfd, nullptr, 0);
  if (pid < 0) {
    const int number = errno;
    if (number == EMFILE || number == ENFILE)
      return Error{"cannot start a child process", errno_code(number), more_descriptors};
    if (command.clone_flags) return namespace_error(number, read_namespace_settings());
    return errno_error("cannot start a child process");
  }
  if (pid == 0) child(command, prepared);
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
  const pid_t pid = std::exchange(pid_, -1);
  int status = 0;
  // waitpid would take -1 for any child. A child that is not there to wait for (somebody else did; SIGCHLD is
  // ignored) has told us no status, and must not pass for a success.
  while (pid < 0 || ::waitpid(pid, &status, 0) < 0)
    if (pid < 0 || errno != EINTR) return static_cast<int>(ExitCode::failed);
  return exit_status(status);
}

void Process::kill(int signal) const { ::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0); }

int exit_status(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

}  // namespace nsrun
