#pragma once

#include "runtime/result.h"

namespace nsrun {

// Moves this process into one more user namespace with the same ids, and a copy of the mounts there, in which
// every mount made so far is locked: neither unmounted nor moved nor looked under by anybody inside, not by
// root and not from a further namespace (mount_namespaces(7), "Restrictions on mount namespaces"). `more` are
// flags of unshare(2) for namespaces that the new user namespace is to rule. Only in a process with one
// thread that is still dumpable; /proc is that of its pid namespace.
Result<void> lock_mounts(int more);

}  // namespace nsrun
