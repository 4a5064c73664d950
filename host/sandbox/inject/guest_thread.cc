#include "host/sandbox/inject/guest_thread.h"

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

// What follows a label in /proc/TID/status (proc_pid_status(5)). By lines: the first holds a name that the
// guest chooses.
std::string status_of(pid_t thread, std::string_view label) {
  std::ifstream status("/proc/" + std::to_string(thread) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(label)) return line.substr(label.size());
  return {};
}

pid_t process_of(pid_t thread) {
  const auto process = std::strtol(status_of(thread, "Tgid:").c_str(), nullptr, 10);
  return process > 0 ? static_cast<pid_t>(process) : thread;
}

std::uint64_t signals_of(pid_t thread, std::string_view label) {
  return std::strtoull(status_of(thread, label).c_str(), nullptr, 16);
}

// By a signal that the first of the process's threads took: all are to stop.
bool is_being_stopped(pid_t process) { return status_of(process, "State:").starts_with("\tT"); }

}  // namespace

UniqueFd open_thread(pid_t thread) {
  const auto open = [](pid_t id, unsigned flags) {
    return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, id, flags)));
  };
  UniqueFd pidfd = open(thread, pidfd_thread);
  return pidfd ? std::move(pidfd) : open(process_of(thread), 0);
}

bool has_signal(pid_t thread) {
  const pid_t process = process_of(thread);
  auto signals = signals_of(thread, "SigPnd:");
  if (process == thread) signals |= signals_of(thread, "ShdPnd:");
  if (signals != 0 && (signals & ~signals_of(thread, "SigBlk:")) != 0) return true;
  return process != thread && is_being_stopped(process);
}

}  // namespace nsrun
