#pragma once

#include <string>
#include <vector>

#include "container/closed/file_identity.h"
#include "runtime/result.h"

namespace nsrun {

// Says, in place of paths, that every unix socket stays reachable.
constexpr auto every_unix_socket = "*";
bool leaves_unix_open(const std::vector<std::string>& allowed);

// Covers what leads out of the sandbox by a name of the file system, in the current, private mount namespace
// and while the outside's network namespace is still the current one. `allowed`: paths of sockets that stay
// reachable; each must be there now, and means the socket that is there now. Nothing that runs in this mount
// namespace with CAP_SYS_ADMIN may be the guest's: lock_mounts comes next. The result: the sockets that stay
// reachable.
Result<std::vector<FileIdentity>> cover_socket_directories(const std::vector<std::string>& allowed);

}  // namespace nsrun
