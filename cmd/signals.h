#pragma once

#include <functional>

#include "runtime/task.h"

namespace nsrun {

// Keeps terminal and job-control signals from ending or stopping nsrun itself; called before the child
// starts, and after its SignalState was taken. They are read by forward_signals.
void hold_signals();

struct SignalHandlers {
  std::function<void(int)> forward;  // gets what is sent to nsrun alone
  std::function<void()> at_end;  // hears of every signal that asks a program to end, wherever it came from
  std::function<void()> terminated;  // hears of a SIGTERM that somebody sent, which is forwarded too
  std::function<void()> reload;      // takes a SIGHUP that somebody sent; empty: that is forwarded too
};

// Hands on signals. What the terminal sends (Ctrl-C, Ctrl-\, a new window size) reaches the command by
// itself: nsrun, the agent and the command share the foreground process group.
Task<> forward_signals(asio::io_context& context, SignalHandlers handlers);

// Stops this process as the command was stopped, so that the shell sees a stopped job; returns when
// continued.
void stop_with_command();

}  // namespace nsrun
