#include "cmd/foreground.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

namespace nsrun {
namespace {

bool has_processes(pid_t group) { return group > 0 && (::kill(-group, 0) == 0 || errno != ESRCH); }

}  // namespace

Foreground::Foreground() : terminal_(::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC)) { look_again(); }

void Foreground::look_again() {
  if (terminal_) group_ = ::tcgetpgrp(terminal_.get());
}

void Foreground::give_back() const {
  if (!terminal_ || has_processes(::tcgetpgrp(terminal_.get()))) return;
  ::tcsetpgrp(terminal_.get(), has_processes(group_) ? group_ : ::getpgrp());
}

}  // namespace nsrun
