// Why all connects: a filter sees the number of a descriptor, not what kind of socket it is, and a connect
// that was let go on could be made into another by the time the kernel carries it out. So the host carries
// out every one, on copies (host/sandbox/inject/injector.cc), and has unix sockets judged by the agent
// (unix_connect_broker.cc).

#include "container/closed/unix_connect_trap.h"

#include <cerrno>

#include "container/seccomp/seccomp_rules.h"

namespace nsrun {

Result<UniqueFd> trap_doors() {
  constexpr auto doing = "the sandbox cannot be closed to unix sockets that are bound later";
  const SeccompFilter filter = allow_everything();
  if (!filter || ::seccomp_rule_add(filter.get(), SCMP_ACT_NOTIFY, SCMP_SYS(connect), 0) < 0)
    return Error{doing, errno_code(EOPNOTSUPP), "this libseccomp knows no notifications"};
  UniqueFd listener = put_on_with_listener(filter.get());
  if (listener) return listener;
  if (errno == EBUSY)
    return Error{doing, errno_code(EBUSY),
                 "nsrun runs inside another sandbox that traps calls; --allow-unix '*' needs no trap"};
  return Error{doing, errno_code(), "this needs Linux 5.19 or later; --allow-unix '*' does not"};
}

}  // namespace nsrun
