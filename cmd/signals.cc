#include "cmd/signals.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

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
  ::signal(SIGTSTP, SIG_DFL);  // for stop_with_command()
}

Task<> forward_signals(asio::io_context& context, std::function<void(int)> forward) {
  const sigset_t set = forwarded();
  Descriptor signals(context, ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  while (co_await readable(signals)) {
    signalfd_siginfo info;
    while (::read(signals.native_handle(), &info, sizeof info) == sizeof info)
      if (info.ssi_code != SI_KERNEL) forward(static_cast<int>(info.ssi_signo));
  }
}

// By SIGTSTP rather than SIGSTOP: in a process group that no shell looks after any more, where nobody would
// ever continue us, the kernel ignores it.
void stop_with_command() {
  sigset_t stop;
  ::sigemptyset(&stop);
  ::sigaddset(&stop, SIGTSTP);
  ::raise(SIGTSTP);
  ::sigprocmask(SIG_UNBLOCK, &stop, nullptr);  // here it takes effect
  ::sigprocmask(SIG_BLOCK, &stop, nullptr);
}

}  // namespace nsrun
