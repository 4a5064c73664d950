// Files of the kernel by which a process acts on others, or speaks to them, whatever its namespaces:
//
//   cgroup.kill, cgroup.freeze, cgroup.procs …    of cgroups that are delegated to the user, as systemd does
//   /sys/fs/fuse/connections/N/abort              of the user's FUSE mounts
//   resctrl, debugfs, tracefs, configfs, bpf      mostly root's, who may be the user
//       each such mount is read-only
//   another procfs, in a chroot for instance      oom_score_adj and more of the user's processes
//       the sandbox's own lies over it
//   a cgroup file system of the guest's own       mounted in a further user and cgroup namespace, it shows
//   the
//                                                 cgroup that nsrun itself runs in, with all that is below
//       there are no further cgroup namespaces (ENOSPC), and without one the kernel refuses the mount
//   /dev/vhost-vsock                              makes a process a virtual machine with a CID, whose packets
//                                                 reach the AF_VSOCK servers of this machine
//   /dev/vmci, /dev/vboxuser, /dev/vboxguest      speak to a hypervisor, /dev/infiniband to other machines
//   /dev/uinput                                   types and points for the whole session
//       /dev/null lies over each

#include "container/closed/kernel_files.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "container/closed/proc_text.h"
#include "runtime/namespace_error.h"

namespace nsrun {
namespace {

constexpr const char* acting_types[] = {"cgroup",  "cgroup2", "cpuset",   "fusectl", "resctrl",
                                        "debugfs", "tracefs", "configfs", "bpf"};
// Below a /dev.
constexpr const char* devices[] = {"vhost-vsock", "vmci", "vboxuser", "vboxguest", "uinput", "infiniband/*"};
constexpr auto cgroup_namespaces = "/proc/sys/user/max_cgroup_namespaces";

Error open_still(const std::string& path) {
  return explain_missing_capability(
      errno_error("cannot close " + path + ", which leads out of the sandbox", {}, ExitCode::no_namespace),
      read_namespace_settings());
}

bool is_directory(int file) {
  struct stat found {};
  return ::fstat(file, &found) == 0 && S_ISDIR(found.st_mode);
}

Result<void> close_mount(const MountEntry& mount, std::uint64_t own_proc) {
  const bool is_proc = mount.type == "proc" && mount.id != own_proc;
  if (!is_proc && !acts_outside(mount.type)) return {};
  const UniqueFd root = open_mount_point(mount);
  if (!root) return {};  // something lies over it, or the guest cannot get there either
  if (!make_read_only(root.get())) return open_still(mount.point);
  if (is_proc && is_directory(root.get()) &&
      ::mount("/proc", mount.point.c_str(), nullptr, MS_BIND | MS_REC, nullptr) < 0)
    return open_still(mount.point);
  return {};
}

Result<void> cover_devices(const std::string& directory) {
  for (const char* name : devices) {
    glob_t found{};
    Result<void> done;
    if (::glob((directory + "/" + name).c_str(), GLOB_NOSORT, nullptr, &found) == 0)
      for (std::size_t i = 0; i < found.gl_pathc && done; ++i)
        if (::mount("/dev/null", found.gl_pathv[i], nullptr, MS_BIND, nullptr) < 0)
          done = open_still(found.gl_pathv[i]);
    ::globfree(&found);
    if (!done) return done;
  }
  return {};
}

Result<void> forbid_cgroup_namespaces() {
  const UniqueFd limit(::open(cgroup_namespaces, O_WRONLY | O_CLOEXEC));
  if (!limit || ::write(limit.get(), "0", 1) != 1) return open_still(cgroup_namespaces);
  return {};
}

}  // namespace

bool acts_outside(const std::string& file_system_type) {
  return std::find(std::begin(acting_types), std::end(acting_types), file_system_type) !=
         std::end(acting_types);
}

Result<void> close_kernel_files() {
  const UniqueFd proc(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const auto mounts = parse_mounts(proc_text(AT_FDCWD, "/proc/self/mountinfo"));
  const auto own_proc = mount_of(proc.get());
  std::vector<std::string> device_directories{"/dev"};
  for (const MountEntry& mount : mounts) {
    if (auto done = close_mount(mount, own_proc); !done) return done;
    if (mount.type == "devtmpfs" && mount.point != "/dev") device_directories.push_back(mount.point);
  }
  for (const auto& directory : device_directories)
    if (auto done = cover_devices(directory); !done) return done;
  return forbid_cgroup_namespaces();
}

}  // namespace nsrun
