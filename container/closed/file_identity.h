#pragma once

#include <cstdint>
#include <string>

#include "runtime/result.h"

namespace nsrun {

// A file by the numbers that the kernel itself knows it by, and sock_diag tells: stat(2) has others on btrfs
// and overlayfs.
struct FileIdentity {
  std::uint64_t device = 0;  // of the file system, as MKDEV of linux/kdev_t.h makes it
  std::uint64_t inode = 0;
  bool operator==(const FileIdentity&) const = default;
};

// Of an open file, which lies in a mount that `process` ("self", or a number) sees from its root directory.
// `proc`: a directory descriptor of a procfs.
Result<FileIdentity> identify(int file, int proc, const std::string& process);

}  // namespace nsrun
