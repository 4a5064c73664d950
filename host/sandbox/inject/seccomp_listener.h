#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "runtime/fd.h"
#include "runtime/result.h"
#include "runtime/seccomp_call.h"

namespace nsrun {

// One connect(2), bind(2) or listen(2) of the guest, as its registers say it; the guest's thread waits for
// our answer.
struct TrappedCall {
  enum class Kind { connect, bind, listen };
  Kind kind = Kind::connect;
  std::uint64_t id = 0;       // of the notification
  pid_t thread = 0;           // whose call it is, in our pid namespace
  int descriptor = -1;        // in the guest
  std::uint64_t address = 0;  // connect, bind: where in the guest's memory
  int length = 0;             // connect, bind: bytes; whatever the guest says
  int backlog = 0;            // listen
};

// The listener of the filter that container/seccomp/connect_trap.h or container/closed/unix_connect_trap.h puts on.
class SeccompListener {
 public:
  // Takes only what is a listener.
  static Result<SeccompListener> open(UniqueFd listener);

  int get() const { return listener_.get(); }
  // The next call; nothing when none waits.
  std::optional<TrappedCall> receive() const;
  // No process is left that could call.
  bool is_over() const;
  // The caller still waits; if not, it was killed or a signal took it out of the call.
  bool waits(std::uint64_t id) const { return call_waits(listener_.get(), id); }
  // Ends the call with an errno, or 0. False when nobody waits any more. ERESTARTSYS (linux/errno.h), for a
  // caller that has a signal: as the signal's handler was installed, the call ends with EINTR or begins anew.
  bool answer(std::uint64_t id, int error) const { return answer_call(listener_.get(), id, error); }
  // Lets the kernel carry the call out, on what descriptor and address mean by then.
  void let_go_on(std::uint64_t id) const;
  // Puts a copy of `file` in place of the guest's descriptor. 0 or an errno; ENOENT when nobody waits.
  int replace(std::uint64_t id, int descriptor, int file, bool close_on_exec) const;

 private:
  explicit SeccompListener(UniqueFd listener) : listener_(std::move(listener)) {}
  UniqueFd listener_;
};

}  // namespace nsrun
