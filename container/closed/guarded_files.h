#pragma once

#include <string>
#include <vector>

#include "runtime/result.h"

namespace nsrun {

// Makes these files read-only in the current, private mount namespace, and keeps their names: nobody in it
// can rename, replace or remove them there, nor write them through another mount of the same file system.
// Like cover_socket_directories it is undone by a process with CAP_SYS_ADMIN here, and lock_mounts comes next. A file
// that is replaced from outside is no longer guarded.
Result<void> guard_files(const std::vector<std::string>& paths);

}  // namespace nsrun
