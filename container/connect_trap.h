#pragma once

#include "runtime/result.h"

namespace nsrun {

// From here on every connect(2), bind(2) and listen(2) of this process, of what it executes and of all it
// starts waits for whoever holds the listener (seccomp_unotify(2)), which is sent to `host` as `accelerate`.
// To be called last before the command is executed; it needs no_new_privs, or CAP_SYS_ADMIN in the user
// namespace.
//
// EOPNOTSUPP where the kernel lacks what is needed, EBUSY inside a sandbox of the same kind: nothing has
// changed then. After any other error the process must not go on.
Result<void> trap_connects(int host);

// Whether an error of trap_connects left everything as it was.
bool is_untrapped(const Error& error);

}  // namespace nsrun
