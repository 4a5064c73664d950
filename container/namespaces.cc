#include "container/namespaces.h"

#include <sched.h>
#include <sys/mount.h>

#include "runtime/namespace_error.h"

namespace nsrun {

int clone_flags(const NamespaceOptions& options) {
  return CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS | (options.pid ? CLONE_NEWPID : 0) |
         (options.uts ? CLONE_NEWUTS : 0) | (options.ipc ? CLONE_NEWIPC : 0);
}

Result<void> separate_mounts() {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) == 0) return {};
  return explain_missing_capability(
      errno_error("cannot make the sandbox's mounts its own",
                  "a security module forbids mounts in user namespaces", ExitCode::no_namespace),
      read_namespace_settings());
}

Result<void> mount_proc() {
  if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0) return {};
  // mount_too_revealing() in the kernel's fs/namespace.c: a new /proc may not show what the present one
  // hides.
  return explain_missing_capability(
      errno_error(
          "cannot mount a new /proc for the pid namespace",
          "where a container hides parts of /proc the kernel forbids it: run without a pid namespace, or "
          "start the container with --security-opt systempaths=unconfined",
          ExitCode::no_namespace),
      read_namespace_settings());
}

}  // namespace nsrun
