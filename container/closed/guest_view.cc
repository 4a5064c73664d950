#include "container/closed/guest_view.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/syscall.h>

#include <cstdint>
#include <sstream>
#include <vector>

#include "container/closed/proc_text.h"
#include "runtime/fd.h"

namespace nsrun {
namespace {

constexpr auto cannot_see = "cannot see files as a process of the sandbox does";

std::vector<unsigned> numbers(const std::string& text) {
  std::istringstream words(text);
  std::vector<unsigned> found;
  for (unsigned number; words >> number;) found.push_back(number);
  return found;
}

// A process of several pid namespaces has several numbers; its own namespace's is the last.
std::string last_word(const std::string& text) {
  const auto at = text.find_last_of(" \t");
  return at == text.npos ? text : text.substr(at + 1);
}

}  // namespace

GuestThread::GuestThread(int proc, pid_t thread)
    : proc_(proc), path_(std::to_string(thread)), status_(proc_text(proc, path_ + "/status")) {}

pid_t GuestThread::named_by(int proc, int pidfd) {
  const auto number = proc_field(proc_text(proc, "self/fdinfo/" + std::to_string(pidfd)), "Pid");
  return std::max(0, std::atoi(number.c_str()));  // -1 when it has ended
}

std::string GuestThread::field(const char* label) const { return proc_field(status_, label); }

std::string GuestThread::link(const char* name) const { return proc_link(proc_, path_ + name); }

Result<int> GuestThread::other_network() const {
  if (link("/ns/net") == proc_link(proc_, "self/ns/net")) return -1;
  const int network = ::openat(proc_, (path_ + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC);
  if (network < 0) return errno_error(cannot_see);
  return network;
}

Result<void> GuestThread::share_view() const {
  const bool same_user_namespace = link("/ns/user") == proc_link(proc_, "self/ns/user");
  const auto open = [this](const char* name) {
    return UniqueFd(::openat(proc_, (path_ + name).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  };
  const UniqueFd root = open("/root"), working = open("/cwd");
  if (!root || !working || ::fchdir(root.get()) < 0 || ::chroot(".") < 0 || ::fchdir(working.get()) < 0)
    return errno_error(cannot_see);
  if (auto taken = take_ids(); !taken) return taken;
  return take_capabilities(same_user_namespace);
}

// Real, effective, saved, and that for files (proc_pid_status(5)). Most sandboxes have one id, and that is
// ours.
Result<void> GuestThread::take_ids() const {
  const auto uids = numbers(field("Uid")), gids = numbers(field("Gid")), groups = numbers(field("Groups"));
  if (uids.size() != 4 || gids.size() != 4) return Error{cannot_see, errno_code(ESRCH)};
  const uid_t uid = uids[3];
  const gid_t gid = gids[3];
  if (uid == ::geteuid() && gid == ::getegid()) return {};
  const std::vector<gid_t> supplementary(groups.begin(), groups.end());
  if (::setgroups(supplementary.size(), supplementary.data()) < 0 || ::setresgid(gid, gid, gid) < 0 ||
      ::setresuid(uid, uid, uid) < 0)
    return errno_error(cannot_see);
  return {};
}

// Those of a further user namespace are none here.
Result<void> GuestThread::take_capabilities(bool same_user_namespace) const {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct own[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capget, &header, own) < 0) return errno_error(cannot_see);
  const auto theirs = same_user_namespace ? std::strtoull(field("CapEff").c_str(), nullptr, 16) : 0;
  for (unsigned half = 0; half < _LINUX_CAPABILITY_U32S_3; ++half) {
    own[half].permitted &= static_cast<std::uint32_t>(theirs >> (32 * half));
    own[half].effective = own[half].permitted;
    own[half].inheritable = 0;
  }
  if (::syscall(SYS_capset, &header, own) < 0) return errno_error(cannot_see);
  return {};
}

std::string GuestThread::as_own(const std::string& path) const {
  const auto process = "/proc/" + last_word(field("NStgid"));
  const std::pair<std::string, std::string> others[] = {
      {"/proc/self/", process + "/"},
      {"/proc/thread-self/", process + "/task/" + last_word(field("NSpid")) + "/"},
      {"/dev/fd/", process + "/fd/"},
  };
  for (const auto& [mine, theirs] : others)
    if (path.starts_with(mine)) return theirs + path.substr(mine.size());
  return path;
}

}  // namespace nsrun
