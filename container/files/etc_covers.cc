#include "container/files/etc_covers.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

// The kernel takes a mount away with the directory entry that it covers: when a file or link is renamed over
// /etc/resolv.conf, or it is removed (detach_mounts in the kernel's fs/namespace.c). inotify(7) tells of each
// such change of /etc, on whichever mount it was made. Then a second mount of our file is put there, and a
// third one is made of that, for the next time. The command may see the host's file for the moment between.

namespace nsrun {
namespace {

constexpr auto folder = "/etc";

UniqueFd copy_of_cover(const std::string& path) {
  return UniqueFd(
      ::open_tree(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
}

bool is_covered(const std::string& path, const UniqueFd& spare) {
  struct stat ours {
  }, there{};
  if (::fstatat(spare.get(), "", &ours, AT_EMPTY_PATH) < 0) return true;  // there is none to cover it with
  if (::lstat(path.c_str(), &there) < 0) return true;                     // nor anything to cover
  return ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

}  // namespace

std::optional<EtcCovers> EtcCovers::watch(std::vector<std::string> paths) {
  if (paths.empty()) return std::nullopt;
  UniqueFd events(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  const auto changes = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
  if (!events || ::inotify_add_watch(events.get(), folder, changes | IN_ONLYDIR) < 0) return std::nullopt;
  std::vector<Cover> covers;
  for (auto& path : paths)
    if (UniqueFd spare = copy_of_cover(path)) covers.push_back({std::move(path), std::move(spare)});
  if (covers.empty()) return std::nullopt;
  return EtcCovers(std::move(events), std::move(covers));
}

std::vector<int> EtcCovers::descriptors() const {
  std::vector<int> all{events_.get()};
  for (const Cover& cover : covers_) all.push_back(cover.spare.get());
  return all;
}

// Which file changed need not be read: they are looked at.
void EtcCovers::serve() {
  char discarded[4096];
  while (::read(events_.get(), discarded, sizeof discarded) > 0) {
  }
  for (auto& [path, spare] : covers_) {
    if (is_covered(path, spare)) continue;
    if (::move_mount(spare.get(), "", AT_FDCWD, path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) == 0)
      spare = copy_of_cover(path);
  }
}

}  // namespace nsrun
