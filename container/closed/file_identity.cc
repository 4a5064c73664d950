#include "container/closed/file_identity.h"

#include <cstdlib>
#include <optional>

#include "container/closed/mount_table.h"
#include "container/closed/proc_text.h"

namespace nsrun {
namespace {

std::optional<std::uint64_t> device_of_mount(const std::string& mountinfo, std::uint64_t wanted) {
  for (const MountEntry& mount : parse_mounts(mountinfo))
    if (mount.id == wanted) return mount.device;
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
