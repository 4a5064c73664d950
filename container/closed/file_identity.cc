#include "container/closed/file_identity.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "container/closed/proc_text.h"

namespace nsrun {
namespace {

constexpr unsigned minor_bits = 20;  // MINORBITS of linux/kdev_t.h

// A line of /proc/PID/mountinfo: id, parent's id, major:minor, … (proc_pid_mountinfo(5)).
std::optional<std::uint64_t> device_of_mount(const std::string& mounts, std::uint64_t wanted) {
  for (std::size_t at = 0; at < mounts.size();) {
    const auto end = std::min(mounts.size(), mounts.find('\n', at));
    unsigned id = 0, parent = 0, major = 0, minor = 0;
    if (std::sscanf(mounts.c_str() + at, "%u %u %u:%u ", &id, &parent, &major, &minor) == 4 && id == wanted)
      return std::uint64_t{major} << minor_bits | minor;
    at = end + 1;
  }
  return std::nullopt;
}

}  // namespace

Result<FileIdentity> identify(int file, int proc, const std::string& process) {
  const auto information = proc_text(proc, "self/fdinfo/" + std::to_string(file));
  const auto mount = proc_field(information, "mnt_id"), inode = proc_field(information, "ino");
  if (mount.empty() || inode.empty())
    return Error{"cannot tell which file this is", errno_code(ENOTSUP), "it takes Linux 5.14"};
  const auto device =
      device_of_mount(proc_text(proc, process + "/mountinfo"), std::strtoull(mount.c_str(), nullptr, 10));
  if (!device) return Error{"cannot tell which file system this file is in", errno_code(EXDEV)};
  return FileIdentity{*device, std::strtoull(inode.c_str(), nullptr, 10)};
}

}  // namespace nsrun
