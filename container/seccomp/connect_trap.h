#pragma once

#include "runtime/fd.h"
#include "runtime/result.h"

namespace nsrun {

// From here on every connect(2), bind(2) and listen(2) of this process, of what it executes and of all it
// starts waits for whoever holds the listener (seccomp_unotify(2)), which is the result. To be called last
// before the command is executed; it needs no_new_privs, or CAP_SYS_ADMIN in the user namespace.
//
// EOPNOTSUPP where the kernel lacks what is needed, EBUSY inside a sandbox of the same kind: nothing has
// changed then. After any other error the process must not go on.
Result<UniqueFd> trap_connects();

// Whether an error of trap_connects left everything as it was.
bool is_untrapped(const Error& error);

// Sends the listener to `host` as `accelerate`, and a copy to whoever reads at the other end of `doors`
// (closed/unix_connect_broker.h), which goes to the host too; -1 where there is none. `to_accelerate`: the listener is
// trap_connects', else closed/door_trap.h's.
Result<void> offer_connects(int host, UniqueFd listener, int doors, bool to_accelerate);

}  // namespace nsrun
