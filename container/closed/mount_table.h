#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/fd.h"

namespace nsrun {

// A line of /proc/PID/mountinfo (proc_pid_mountinfo(5)).
struct MountEntry {
  std::uint64_t id = 0;
  std::uint64_t device = 0;  // as the kernel numbers it: major << 20 | minor
  std::string root;          // of the file system, which directory is mounted
  std::string point;         // where
  std::string type;
};

// Lines that are not valid are left out.
std::vector<MountEntry> parse_mounts(const std::string& mountinfo);

// The mount point itself (O_PATH). Invalid where another mount lies over it, or the path cannot be reached.
UniqueFd open_mount_point(const MountEntry& mount);
// The mount that an open file was reached through; 0 where the kernel does not tell.
std::uint64_t mount_of(int file);

// Makes a mount read-only, which is known by its root.
bool make_read_only(int mount_root);

}  // namespace nsrun
