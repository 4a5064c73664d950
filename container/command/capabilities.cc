#include "container/command/capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace nsrun {

Result<void> give_up_privileges() {
  // The bounding set stays: a program with file capabilities (ping) would not be executed at all without them
  // in it (EPERM, security/commoncap.c), while no_new_privs lets it run without gaining any.
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
    return errno_error("cannot clear the ambient capabilities");
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capset, &header, none) < 0) return errno_error("cannot give up capabilities");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return errno_error("cannot set no_new_privs");
  return {};
}

void protect_from_ptrace() {
  // The agent is a fork of nsrun: its memory holds what nsrun knew (policy, proxy passwords), its descriptors
  // reach the host. The guest has our uid. Tracing a process that is not dumpable takes CAP_SYS_PTRACE in the
  // namespace of its memory image, which without an exec is still nsrun's own, not the guest's (ptrace(2),
  // "Ptrace access mode checking").
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

}  // namespace nsrun
