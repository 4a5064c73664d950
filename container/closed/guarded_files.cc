// A bind mount of a file over itself can be read-only, and the kernel neither renames nor unlinks a mount
// point (EBUSY; is_local_mountpoint in fs/namei.c). A hard link cannot be made across mounts (EXDEV).
// Directories above can still be renamed, and another file put where the path leads then: the host knows its
// file by more than the path (host/policy/reloaded_file.h).

#include "container/closed/guarded_files.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "container/closed/mount_table.h"
#include "container/closed/proc_text.h"
#include "container/closed/socket_directories.h"
#include "runtime/namespace_error.h"

namespace nsrun {
namespace {

Error unguarded(const std::string& path) {
  return explain_missing_capability(
      errno_error("cannot make " + path + " read-only in the sandbox", {}, ExitCode::no_namespace),
      read_namespace_settings());
}

std::string below(const std::string& directory, const std::string& path) {
  return directory == "/" ? path : path.substr(directory.size());
}

// Every path by which the file is reached: one for each mount of its file system that shows it.
std::vector<std::string> all_paths(int file, const std::vector<MountEntry>& mounts) {
  const auto path = proc_link(AT_FDCWD, "/proc/self/fd/" + std::to_string(file));
  const auto is_its = [id = mount_of(file)](const MountEntry& mount) { return mount.id == id; };
  const auto own = std::find_if(mounts.begin(), mounts.end(), is_its);
  if (own == mounts.end() || !holds(own->point, path)) return {path};
  const auto in_file_system = (own->root == "/" ? "" : own->root) + below(own->point, path);
  std::vector<std::string> paths;
  for (const MountEntry& mount : mounts)
    if (mount.device == own->device && holds(mount.root, in_file_system))
      paths.push_back((mount.point == "/" ? "" : mount.point) + below(mount.root, in_file_system));
  return paths;
}

Result<void> guard(const std::string& path, const struct stat& identity) {
  const UniqueFd named(::open(path.c_str(), O_PATH | O_CLOEXEC));
  struct stat found {};
  if (!named || ::fstat(named.get(), &found) < 0 || found.st_dev != identity.st_dev ||
      found.st_ino != identity.st_ino)
    return {};  // another mount lies over that path, or the guest cannot get there either
  if (::mount(path.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) < 0) return unguarded(path);
  const UniqueFd guarded(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!guarded || !make_read_only(guarded.get())) return unguarded(path);
  return {};
}

}  // namespace

Result<void> guard_files(const std::vector<std::string>& paths) {
  const auto mounts = parse_mounts(proc_text(AT_FDCWD, "/proc/self/mountinfo"));
  for (const auto& path : paths) {
    const UniqueFd file(::open(path.c_str(), O_PATH | O_CLOEXEC));
    struct stat identity {};
    if (!file || ::fstat(file.get(), &identity) < 0) return unguarded(path);
    for (const auto& one : all_paths(file.get(), mounts))
      if (auto done = guard(one, identity); !done) return done;
  }
  return {};
}

}  // namespace nsrun
