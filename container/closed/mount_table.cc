#include "container/closed/mount_table.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <utility>

#include "container/closed/proc_text.h"

namespace nsrun {
namespace {

constexpr unsigned minor_bits = 20;  // MINORBITS of linux/kdev_t.h

bool is_octal(char c) { return c >= '0' && c <= '7'; }

// The kernel writes blanks, line breaks and backslashes in paths as \ooo.
std::string unescape(const std::string& text) {
  std::string path;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escaped = text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) &&
                         is_octal(text[i + 2]) && is_octal(text[i + 3]);
    if (!escaped) {
      path += text[i];
      continue;
    }
    path += static_cast<char>((text[i + 1] - '0') << 6 | (text[i + 2] - '0') << 3 | (text[i + 3] - '0'));
    i += 3;
  }
  return path;
}

// id parent major:minor root point options [optional fields] - type source options
bool parse_line(const std::string& line, MountEntry& into) {
  std::istringstream words(line);
  unsigned major = 0, minor = 0;
  std::string parent, device, root, point, word;
  if (!(words >> into.id >> parent >> device >> root >> point >> word) ||
      std::sscanf(device.c_str(), "%u:%u", &major, &minor) != 2)
    return false;
  while (words >> word && word != "-") {
  }
  into.device = std::uint64_t{major} << minor_bits | minor;
  into.root = unescape(root);
  into.point = unescape(point);
  return static_cast<bool>(words >> into.type);
}

// Before Linux 5.12. All other flags have to be named, or they would be taken away, which is forbidden.
bool remount_read_only(int mount_root) {
  struct statvfs now {};
  if (::fstatvfs(mount_root, &now) < 0) return false;
  constexpr std::pair<unsigned long, unsigned long> flags[] = {
      {ST_NOSUID, MS_NOSUID},   {ST_NODEV, MS_NODEV},           {ST_NOEXEC, MS_NOEXEC},
      {ST_NOATIME, MS_NOATIME}, {ST_NODIRATIME, MS_NODIRATIME}, {ST_RELATIME, MS_RELATIME}};
  unsigned long kept = 0;
  for (const auto& [reported, flag] : flags)
    if (now.f_flag & reported) kept |= flag;
  const auto path = "/proc/self/fd/" + std::to_string(mount_root);
  return ::syscall(SYS_mount, nullptr, path.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | kept,
                   nullptr) == 0;
}

}  // namespace

std::vector<MountEntry> parse_mounts(const std::string& mountinfo) {
  std::vector<MountEntry> mounts;
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);)
    if (MountEntry mount; parse_line(line, mount)) mounts.push_back(std::move(mount));
  return mounts;
}

std::uint64_t mount_of(int file) {
  const auto information = proc_text(AT_FDCWD, "/proc/self/fdinfo/" + std::to_string(file));
  return std::strtoull(proc_field(information, "mnt_id").c_str(), nullptr, 10);
}

UniqueFd open_mount_point(const MountEntry& mount) {
  UniqueFd point(::open(mount.point.c_str(), O_PATH | O_CLOEXEC));
  return point && mount_of(point.get()) == mount.id ? std::move(point) : UniqueFd();
}

bool make_read_only(int mount_root) {
  mount_attr change{};
  change.attr_set = MOUNT_ATTR_RDONLY;
  if (::syscall(SYS_mount_setattr, mount_root, "", AT_EMPTY_PATH, &change, sizeof change) == 0) return true;
  return errno == ENOSYS && remount_read_only(mount_root);
}

}  // namespace nsrun
