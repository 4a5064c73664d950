#include "container/command/signal_state.h"

namespace nsrun {

SignalState SignalState::current() {
  SignalState state;
  ::sigprocmask(SIG_SETMASK, nullptr, &state.blocked_);
  ::sigemptyset(&state.ignored_);
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    struct sigaction action {};
    if (::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN)
      ::sigaddset(&state.ignored_, signal);
  }
  return state;
}

void SignalState::restore() const {
  for (int signal = 1; signal <= SIGRTMAX; ++signal)
    ::signal(signal, ::sigismember(&ignored_, signal) == 1 ? SIG_IGN : SIG_DFL);
  ::sigprocmask(SIG_SETMASK, &blocked_, nullptr);
}

}  // namespace nsrun
