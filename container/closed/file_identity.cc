#include "container/closed/file_identity.h"

#include <fcntl.h>

#include <cstdio>
#include <optional>
#include <string_view>

#include "runtime/fd.h"

namespace nsrun {
namespace {

constexpr unsigned minor_bits = 20;  // MINORBITS of linux/kdev_t.h

std::string text_of(int directory, const std::string& path) {
  const UniqueFd file(::openat(directory, path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  char piece[4096];
  for (ssize_t size; file && (size = ::read(file.get(), piece, sizeof piece)) > 0;)
    text.append(piece, static_cast<std::size_t>(size));
  return text;
}

// A line of /proc/PID/fdinfo/FD: "mnt_id:\t29".
std::optional<std::uint64_t> number_after(const std::string& text, std::string_view label) {
  const auto at = text.find(label);
  if (at == text.npos) return std::nullopt;
  return std::strtoull(text.c_str() + at + label.size(), nullptr, 10);
}

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
  const auto information = text_of(proc, "self/fdinfo/" + std::to_string(file));
  const auto mount = number_after(information, "mnt_id:"), inode = number_after(information, "ino:");
  if (!mount || !inode)
    return Error{"cannot tell which file this is", errno_code(ENOTSUP), "it takes Linux 5.14"};
  const auto device = device_of_mount(text_of(proc, process + "/mountinfo"), *mount);
  if (!device) return Error{"cannot tell which file system this file is in", errno_code(EXDEV)};
  return FileIdentity{*device, *inode};
}

}  // namespace nsrun
