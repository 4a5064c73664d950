#pragma once

#include <string>

#include "container/closed/mount_table.h"
#include "runtime/result.h"

namespace nsrun {

// Takes from the current, private mount and user namespaces what acts by a file of the kernel on processes
// outside, or speaks to them. Like cover_socket_directories it is undone by a process with CAP_SYS_ADMIN here, and
// lock_mounts comes next. /proc is that of the sandbox's pid namespace already.
Result<void> close_kernel_files();

// ---- the pure part

// Files of such a file system act on what is outside.
bool acts_outside(const std::string& file_system_type);

}  // namespace nsrun
