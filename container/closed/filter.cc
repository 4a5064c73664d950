// The system calls by which a closed sandbox would still reach outside. This is no general sandbox: what
// stays within the namespaces is none of its business.
//
//   socket, socketpair   only families that a network namespace divides (or that, like unix sockets, are
//   closed
//                        otherwise). AF_VSOCK leads to the hypervisor and to other machines, AF_BLUETOOTH,
//                        AF_TIPC and AF_QIPCRTR to the host's; a kernel that lacks them says EAFNOSUPPORT,
//                        and so do we.
//   … of AF_UNIX         no datagram sockets (EACCES): each of their sends names a path, in memory where no
//                        filter can see it. A pair's ends can do that too. SOCK_RAW is another name for them.
//   ioctl                TIOCSTI and TIOCLINUX put characters into the terminal as if they had been typed,
//   for
//                        the shell outside to read when the command has ended.
//   kill(0), setpriority and ioprio_set of one's own group, where that group is shared with processes
//   outside:
//                        a pid namespace does not divide it. (Any other group has no number inside.)
//   sigaction of SIGTTIN and SIGTTOU, with such a group
//                        are not carried out, and succeed. Both stay ignored: a process that uses the
//                        terminal from its background would stop the whole group by them.
//   prlimit64, sched_set*, setpriority, ioprio_set of process 1 or of a whole user
//                        the agent is process 1, and mostly has the guest's user id, which is all that these
//                        calls look for. A container inside has a process 1 of its own, and may not either.
//   add_key, request_key, keyctl
//                        keyrings are the user's, not the namespace's: their numbers are in /proc/keys.
//   io_uring, socketcall do all this unseen (seccomp_rules.h).

#include "container/closed/filter.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "container/seccomp/seccomp_rules.h"

namespace nsrun {
namespace {

constexpr std::uint32_t allowed_families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET};
// linux/ioprio.h is not valid C++: IOPRIO_WHO_PROCESS, _PGRP, _USER
constexpr std::uint32_t ioprio_who_process = 1, ioprio_who_group = 2, ioprio_who_user = 3;
constexpr std::uint32_t agent_pid = 1;
constexpr std::uint32_t type_bits = 0xf;  // SOCK_TYPE_MASK of linux/net.h: the others are flags

// Calls `act` with the largest aligned blocks [first, first + 2^bits) of numbers, each of which is one
// comparison under a mask, that hold no allowed family.
void each_forbidden_block(std::uint64_t first, unsigned bits,
                          const std::function<void(std::uint32_t mask, std::uint32_t first)>& act) {
  const std::uint64_t size = std::uint64_t{1} << bits;
  const auto within = [=](std::uint32_t family) { return family >= first && family < first + size; };
  if (std::none_of(std::begin(allowed_families), std::end(allowed_families), within))
    return act(~static_cast<std::uint32_t>(size - 1), static_cast<std::uint32_t>(first));
  if (bits == 0) return;
  each_forbidden_block(first, bits - 1, act);
  each_forbidden_block(first + size / 2, bits - 1, act);
}

int forbid_families(scmp_filter_ctx filter, int call) {
  int failed = 0;
  each_forbidden_block(0, 32, [&](std::uint32_t mask, std::uint32_t first) {
    failed |= ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), call, 1,
                                 scmp_arg_cmp{0, SCMP_CMP_MASKED_EQ, mask, first});
  });
  return failed;
}

int forbid_unix_datagrams(scmp_filter_ctx filter, int call) {
  int failed = 0;
  for (std::uint32_t type = 0; type <= type_bits; ++type)
    if (type != SOCK_STREAM && type != SOCK_SEQPACKET)
      failed |= ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), call, 2, int_argument(0, AF_UNIX),
                                   scmp_arg_cmp{1, SCMP_CMP_MASKED_EQ, type_bits, type});
  return failed;
}

int forbid_own_group(scmp_filter_ctx filter) {
  const auto forbidden = SCMP_ACT_ERRNO(EPERM);
  return ::seccomp_rule_add(filter, forbidden, SCMP_SYS(kill), 1, int_argument(0, 0)) |
         ::seccomp_rule_add(filter, forbidden, SCMP_SYS(setpriority), 2, int_argument(0, PRIO_PGRP),
                            int_argument(1, 0)) |
         ::seccomp_rule_add(filter, forbidden, SCMP_SYS(ioprio_set), 2, int_argument(0, ioprio_who_group),
                            int_argument(1, 0));
}

// 0, not an error: runtimes set a handler for every signal, and give up where that fails.
int keep_terminal_stops_ignored(scmp_filter_ctx filter) {
  constexpr auto pretended = SCMP_ACT_ERRNO(0);
  int failed = 0;
  for (const std::uint32_t signal : {SIGTTIN, SIGTTOU}) {
    for (const int call : {SCMP_SYS(rt_sigaction), SCMP_SYS(sigaction)})
      failed |= ::seccomp_rule_add(filter, pretended, call, 2, int_argument(0, signal),
                                   scmp_arg_cmp{1, SCMP_CMP_NE, 0, 0});
    failed |= ::seccomp_rule_add(filter, pretended, SCMP_SYS(signal), 1, int_argument(0, signal));
  }
  return failed;
}

// What a process may set on another of the same user.
int forbid_setting_agent(scmp_filter_ctx filter) {
  const auto forbidden = SCMP_ACT_ERRNO(EPERM);
  int failed = 0;
  for (const int call : {SCMP_SYS(sched_setaffinity), SCMP_SYS(sched_setattr), SCMP_SYS(sched_setparam),
                         SCMP_SYS(sched_setscheduler)})
    failed |= ::seccomp_rule_add(filter, forbidden, call, 1, int_argument(0, agent_pid));
  const std::pair<int, std::array<std::uint32_t, 2>> by_kind[] = {
      {SCMP_SYS(setpriority), {PRIO_PROCESS, PRIO_USER}},
      {SCMP_SYS(ioprio_set), {ioprio_who_process, ioprio_who_user}},
  };
  for (const auto& [call, kinds] : by_kind)
    failed |= ::seccomp_rule_add(filter, forbidden, call, 2, int_argument(0, kinds[0]),
                                 int_argument(1, agent_pid)) |
              ::seccomp_rule_add(filter, forbidden, call, 1, int_argument(0, kinds[1]));
  return failed | ::seccomp_rule_add(filter, forbidden, SCMP_SYS(prlimit64), 2, int_argument(0, agent_pid),
                                     scmp_arg_cmp{2, SCMP_CMP_NE, 0, 0});
}

int forbid_typing(scmp_filter_ctx filter) {
  int failed = 0;
  for (const std::uint32_t request : {TIOCSTI, TIOCLINUX})
    failed |= ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1, int_argument(1, request));
  return failed;
}

int forbid_keyrings(scmp_filter_ctx filter) {
  int failed = 0;
  for (const int call : {SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(keyctl)})
    failed |= ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), call, 0);
  return failed;
}

bool add_rules(scmp_filter_ctx filter, const ClosedFilterOptions& options) {
  int failed = forbid_typing(filter) | forbid_keyrings(filter) | forbid_setting_agent(filter) |
               forbid_io_uring(filter);
  for (const int call : {SCMP_SYS(socket), SCMP_SYS(socketpair)}) {
    failed |= forbid_families(filter, call);
    if (!options.unix_datagrams) failed |= forbid_unix_datagrams(filter, call);
  }
  if (options.shared_group) failed |= forbid_own_group(filter) | keep_terminal_stops_ignored(filter);
  failed |= forbid_socketcall(filter);
  return failed == 0;
}

}  // namespace

Result<void> put_on_closed_filter(const ClosedFilterOptions& options) {
  constexpr auto doing = "cannot close the sandbox's side doors with a seccomp filter";
  const SeccompFilter filter = allow_everything();
  if (!filter || !add_rules(filter.get(), options))
    return Error{doing, {}, "this libseccomp is too old: 2.5 or later is needed"};
  if (const int failed = ::seccomp_load(filter.get()); failed < 0)
    return Error{doing, errno_code(-failed), "the kernel needs CONFIG_SECCOMP_FILTER"};
  return {};
}

}  // namespace nsrun
