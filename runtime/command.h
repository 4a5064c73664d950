#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "runtime/fd.h"
#include "runtime/result.h"

namespace nsrun {

// A child process to be: what runs in it, and which descriptors it gets. The library's user fills it in;
// Host::attach_to_cmd adds the descriptor through which the child reaches the host.
struct Command {
  std::vector<std::string> argv;         // argv[0] is looked up in PATH (execvp)
  std::vector<std::string> environment;  // "NAME=value"; empty: this process's own
  // Become descriptors first_fd, first_fd + 1, … in the child, in this order. Closed here once the child
  // has them.
  std::vector<UniqueFd> extra_fds;
  // Higher than 3 only beside `run`, so that descriptors the caller itself inherited keep their numbers.
  int first_fd = 3;
  // clone(2) flags for new namespaces the child starts in (CLONE_NEWUSER | CLONE_NEWNET …); 0: none.
  int clone_flags = 0;
  // With CLONE_NEWUSER: the child's ids inside; its single outside id is this process's own.
  uid_t inside_uid = 0;
  gid_t inside_gid = 0;
  // With CLONE_NEWUSER: leave the ids unmapped; the child asks for them (handshake.h, map_ids).
  bool ids_from_host = false;
  // No signal is blocked or ignored in the child; else it inherits what its parent does.
  bool usual_signals = false;
  // Runs in the child in place of exec when set; its result is the exit status. It finds extra
  // descriptor i at first_fd + i, as an executed program would.
  std::function<int()> run;
};

// A started child. Destroying it kills and reaps a child that is still running.
class Process {
 public:
  Process() = default;
  Process(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}
  Process& operator=(Process&& other) noexcept;
  ~Process();

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }  // readable when the child has ended
  // Waits for the end. Exit status, or 128 + n when signal n ended it.
  int wait();
  void kill(int signal) const;
  // Gives the child up: it is neither killed nor waited for, and ends by itself.
  void release() {
    pid_ = -1;
    pidfd_.reset();
  }

 private:
  pid_t pid_ = -1;
  UniqueFd pidfd_;
};

// Starts the child, and closes command.extra_fds here. In a multi-threaded process set `argv`, not `run`:
// only async-signal-safe work is done before exec.
Result<Process> start(Command& command);

// 128 + n for a process that signal n ended, its exit status otherwise (wait(2) status).
int exit_status(int wait_status);

}  // namespace nsrun
