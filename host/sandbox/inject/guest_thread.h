#pragma once

#include <sys/types.h>

#include "runtime/fd.h"

namespace nsrun {

// A pidfd of the thread, or of its process where the kernel knows no other (before Linux 6.9).
UniqueFd open_thread(pid_t thread);
// Whether a signal waits for the thread to end its call. A caller that seccomp holds heeds only those that
// kill (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV). One that was sent to a process of several threads waits for
// the first of them (kernel/signal.c, complete_signal).
bool has_signal(pid_t thread);

}  // namespace nsrun
