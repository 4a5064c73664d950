#pragma once

#include <functional>

#include "runtime/task.h"

namespace nsrun {

// Keeps terminal and job-control signals from ending or stopping nsrun itself; called before the child
// starts, and after its SignalState was taken. They are read by forward_signals.
void hold_signals();

// Hands on what is sent to nsrun alone. What the terminal sends (Ctrl-C, Ctrl-\, a new window size) reaches
// the command by itself: nsrun, the agent and the command share the foreground process group. `at_end` hears
// of every signal that asks a program to end, wherever it came from.
Task<> forward_signals(asio::io_context& context, std::function<void(int)> forward,
                       std::function<void()> at_end);

// Stops this process as the command was stopped, so that the shell sees a stopped job; returns when
// continued.
void stop_with_command();

}  // namespace nsrun
