#pragma once

#include "runtime/result.h"

namespace nsrun {

// Which namespaces the guest gets beside its user, network and mount namespaces.
struct NamespaceOptions {
  bool pid = false;  // with a /proc of its own; the agent is its process 1
  bool uts = false;
  bool ipc = false;
};

// The child is cloned straight into all of them, rather than calling unshare(2)
// later: the agent is then process 1 of the pid namespace, and stays dumpable until its ids are mapped
// (unshare would give /proc/self to root, and the host could not write the maps).
int clone_flags(const NamespaceOptions& options);

// Nothing mounted from now on is seen outside; what the host mounts is still seen here.
Result<void> separate_mounts();

// Mounts /proc anew, for the pid namespace we are in.
Result<void> mount_proc();

}  // namespace nsrun
