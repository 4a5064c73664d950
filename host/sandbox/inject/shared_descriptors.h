#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace nsrun {

// Whether anything but the one descriptor of `thread` names the socket with this inode: another descriptor or
// an epoll set of the same process, or a descriptor of another process below `root`. Also true when there is
// too much to look at, or the kernel does not tell. What it cannot see (a descriptor in a message on its way,
// a process that hides) keeps the old socket: a program's loss of that socket, and nobody's gain.
bool is_shared(pid_t root, pid_t thread, std::uint64_t inode);
// Whether the thread's descriptor is still that socket.
bool still_names(pid_t thread, int descriptor, std::uint64_t inode);
// Whether the thread's descriptor closes on exec; nothing where it is that socket no more.
std::optional<bool> closes_on_exec(pid_t thread, int descriptor, std::uint64_t inode);

}  // namespace nsrun
