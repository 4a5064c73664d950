#pragma once

#include "runtime/result.h"

namespace nsrun {

struct ClosedFilterOptions {
  bool unix_datagrams = false;  // unix sockets may send to any path
  // The process group is shared with processes outside.
  bool shared_group = false;
};

// Takes away the system calls that lead out of a closed sandbox past its namespaces; for this process, what
// it executes and all it starts, for ever. It needs no_new_privs, or CAP_SYS_ADMIN in the user namespace.
Result<void> put_on_closed_filter(const ClosedFilterOptions& options);

}  // namespace nsrun
