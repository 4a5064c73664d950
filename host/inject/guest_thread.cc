#include "host/inject/guest_thread.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

namespace nsrun {
namespace {

constexpr unsigned pidfd_thread = O_EXCL;  // PIDFD_THREAD, Linux 6.9

// The number after a label in /proc/TID/status (proc_pid_status(5)). By lines: the first holds a name that
// the guest chooses.
std::uint64_t status_number(pid_t thread, std::string_view label, int base, std::uint64_t otherwise) {
  std::ifstream status("/proc/" + std::to_string(thread) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(label)) return std::strtoull(line.c_str() + label.size(), nullptr, base);
  return otherwise;
}

pid_t process_of(pid_t thread) {
  const auto itself = static_cast<std::uint64_t>(thread);
  return static_cast<pid_t>(status_number(thread, "Tgid:", 10, itself));
}

}  // namespace

UniqueFd open_thread(pid_t thread) {
  const auto open = [](pid_t id, unsigned flags) {
    return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, id, flags)));
  };
  UniqueFd pidfd = open(thread, pidfd_thread);
  return pidfd ? std::move(pidfd) : open(process_of(thread), 0);
}

bool has_signal(pid_t thread) {
  const auto signals = [thread](std::string_view label) { return status_number(thread, label, 16, 0); };
  const auto own = signals("SigPnd:"), shared = signals("ShdPnd:");
  if (own == 0 && shared == 0) return false;
  const bool is_first = process_of(thread) == thread;
  return ((own | (is_first ? shared : 0)) & ~signals("SigBlk:")) != 0;
}

}  // namespace nsrun
