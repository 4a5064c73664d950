#include "container/command/descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/syscall.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <memory>

#include "runtime/fd.h"

namespace nsrun {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

template <class Function>
void for_each_descriptor(Function&& act) {
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir("/proc/self/fd"));
  if (!directory) return;
  while (const dirent* entry = ::readdir(directory.get())) {
    const int fd = std::atoi(entry->d_name);  // "." and ".." read as 0
    if (fd > 2 && fd != ::dirfd(directory.get())) act(fd);
  }
}

Result<void> close_range(unsigned first, unsigned last) {
  if (first > last || ::syscall(SYS_close_range, first, last, 0) == 0) return {};
  // Before Linux 5.9.
  if (errno != ENOSYS) return errno_error("cannot close nsrun's descriptors in the child");
  std::vector<int> open;
  for_each_descriptor([&](int fd) {
    if (static_cast<unsigned>(fd) >= first && static_cast<unsigned>(fd) <= last) open.push_back(fd);
  });
  for (const int fd : open) ::close(fd);
  return {};
}

}  // namespace

std::vector<int> inherited_descriptors() {
  std::vector<int> found;
  for_each_descriptor([&](int fd) {
    if ((::fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0) found.push_back(fd);
  });
  return found;
}

Result<void> close_all_but(std::vector<int> kept) {
  std::sort(kept.begin(), kept.end());
  unsigned next = 3;
  for (const int fd : kept) {
    if (fd < 3) continue;
    const auto here = static_cast<unsigned>(fd);
    if (here > next)
      if (auto done = close_range(next, here - 1); !done) return done;
    next = here + 1;
  }
  return close_range(next, UINT_MAX);
}

void leave_standard_streams() {
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (int fd = 0; fd <= 2; ++fd)
    if (!null || ::dup2(null.get(), fd) < 0) ::close(fd);
}

}  // namespace nsrun
