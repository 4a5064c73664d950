// A mount is locked where it was made by somebody with more privilege than those who look at it: the kernel
// locks all of a mount namespace's mounts when it copies them into one that another user namespace owns
// (lock_mnt_tree in fs/namespace.c). So a closed sandbox has two user namespaces:
//
//   outer   owns the pid namespace and the first copy of the mounts, in which the covers are made. Its only
//           process is the agent, before lock_mounts; after it there is none, and none can come: a process
//           enters only with CAP_SYS_ADMIN there, which nobody inside has. What outside has it is the user.
//   inner   owns the second copy, the network and the rest. The agent and the guest live here. Its root
//           (--map-root) has every capability over it: it may mount, unmount what it mounted itself, name the
//           host, rule the network. The locked mounts it may only cover further.
//
// The alternative, one namespace and a root without CAP_SYS_ADMIN, would take mount(8), hostname(1) and
// ip-netns(8) away from --map-root.
//
// Each id of the outer namespace stands for itself in the inner one. A process cannot write more than its own
// id into its own map once it has left the namespace that the ids come from, so a helper stays behind to
// write them.

#include "container/closed/locked_mounts.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "container/closed/proc_text.h"
#include "runtime/fd.h"
#include "runtime/id_map.h"
#include "runtime/namespace_error.h"
#include "runtime/pipe.h"

namespace nsrun {
namespace {

std::string read_to_end(int pipe) {
  std::string text;
  char buffer[512];
  for (ssize_t size; (size = ::read(pipe, buffer, sizeof buffer)) > 0;) text.append(buffer, size);
  return text;
}

// The helper: waits until its parent is in the new namespace, or gone. What it has to complain of goes into
// `answer`.
[[noreturn]] void write_maps_when_told(PipeEnds& start, PipeEnds& answer, const IdMaps& ids) {
  start.writing.reset();
  char word;
  if (::read(start.reading.get(), &word, 1) != 1) ::_exit(1);
  const auto written = write_id_maps(::getppid(), ids.uid_lines, ids.gid_lines, false);
  if (!written) {
    const auto words = written.error().message();
    (void)!::write(answer.writing.get(), words.data(), words.size());
  }
  ::_exit(written ? 0 : 1);
}

Result<void> hear_helper(pid_t helper, PipeEnds& answer) {
  answer.writing.reset();
  const auto complaint = read_to_end(answer.reading.get());
  int status = 0;
  while (::waitpid(helper, &status, 0) < 0 && errno == EINTR) {
  }
  if (status == 0) return {};
  return Error{complaint.empty() ? "nobody mapped the ids of the sandbox's inner user namespace" : complaint,
               {},
               {},
               ExitCode::no_namespace};
}

}  // namespace

Result<void> lock_mounts(int more) {
  IdMaps ids;
  ids.uid_lines = identity_lines(proc_text(AT_FDCWD, "/proc/self/uid_map"));
  ids.gid_lines = identity_lines(proc_text(AT_FDCWD, "/proc/self/gid_map"));
  auto start = make_pipe(), answer = make_pipe();
  if (!start) return start.error();
  if (!answer) return answer.error();
  const pid_t helper = ::fork();
  if (helper < 0) return errno_error("cannot start a process in the sandbox");
  if (helper == 0) write_maps_when_told(*start, *answer, ids);
  start->reading.reset();
  const int failed = ::unshare(CLONE_NEWUSER | CLONE_NEWNS | more) < 0 ? errno : 0;
  if (!failed) (void)!::write(start->writing.get(), "", 1);
  start->writing.reset();
  auto mapped = hear_helper(helper, *answer);
  if (failed) return namespace_error(failed, read_namespace_settings());
  return mapped;
}

}  // namespace nsrun
