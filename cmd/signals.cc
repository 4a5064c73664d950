#include "cmd/signals.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace nsrun {
namespace {

sigset_t forwarded() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH})
    ::sigaddset(&set, signal);
  return set;
}

}  // namespace

void hold_signals() {
  sigset_t held = forwarded();
  // The command's stop is told by the agent; stopping here as well would take two continues to undo. A read
  // from the background stops the whole process group, and so us.
  for (const int signal : {SIGTSTP, SIGTTIN}) ::sigaddset(&held, signal);
  ::sigprocmask(SIG_BLOCK, &held, nullptr);
  ::signal(SIGTTOU, SIG_IGN);  // a warning may be written from the background
  ::signal(SIGPIPE, SIG_IGN);
}

Task<> forward_signals(asio::io_context& context, SignalHandlers handlers) {
  const sigset_t set = forwarded();
  Descriptor signals(context, ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  while (co_await readable(signals)) {
    signalfd_siginfo info;
    while (::read(signals.native_handle(), &info, sizeof info) == sizeof info) {
      const auto signal = static_cast<int>(info.ssi_signo);
      const bool sent = info.ssi_code != SI_KERNEL;
      if (sent && signal == SIGHUP && handlers.reload) {
        handlers.reload();
        continue;
      }
      if (sent) handlers.forward(signal);
      if (sent && signal == SIGTERM) handlers.terminated();
      if (signal == SIGHUP || signal == SIGINT || signal == SIGQUIT || signal == SIGTERM) handlers.at_end();
    }
  }
}

namespace {

// 0 when it cannot be seen from here (another pid namespace).
pid_t parent_of(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string text;
  std::getline(file, text);
  const auto name_end = text.rfind(')');  // proc_pid_stat(5): pid (name) state parent …
  return name_end == text.npos ? 0
                               : static_cast<pid_t>(std::strtol(text.c_str() + name_end + 4, nullptr, 10));
}

// No shell looks after our process group any more (POSIX, "orphaned process group"), as when it was killed.
// The kernel stops nobody in such a group for the terminal's sake; SIGSTOP it would obey, for ever.
bool is_orphaned() {
  const pid_t group = ::getpgrp();
  for (pid_t ancestor = ::getppid(); ancestor > 0; ancestor = parent_of(ancestor))
    if (::getpgid(ancestor) != group) return ::getsid(ancestor) != ::getsid(0);
  return false;
}

}  // namespace

void stop_with_command() {
  if (!is_orphaned()) ::raise(SIGSTOP);
}

}  // namespace nsrun
