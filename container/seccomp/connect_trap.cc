// What the command may still do by itself once sockets of the host's network get into its hands.
//
// With --accelerate a connected socket that lives in the host's network namespace replaces the command's own
// (host/sandbox/inject/injector.cc). It must stay what it is: connected to where the policy allowed, and nowhere
// else. Two locks see to that, and both are put on here, on the command and all its descendants, for ever.
//
//   seccomp    connect, bind, listen: asked of the host, which copies what it is asked for and acts on its
//              copies. Connecting and binding what is not TCP it lets go on.
//              io_uring: absent (ENOSYS): it connects and sends behind the filter's back. Programs fall back.
//              MSG_FASTOPEN: refused (EOPNOTSUPP): it connects by sending, which Landlock does not see.
//              i386's socketcall: absent, for its arguments are in memory. 32-bit programs that know no
//              other way have no sockets.
//              IP_OPTIONS, IPV6_RTHDR: refused (EPERM): a source route sends the packets of an allowed
//              connection by way of somebody else. SO_BINDTODEVICE: refused, for it sends them out of another
//              interface of the host's. TCP_ULP: refused, for "smc" makes a TCP socket into one whose connect
//              Landlock does not know.
//   Landlock   connecting and binding TCP is denied to the command itself, in the kernel and on the kernel's
//   own
//              copy of the address. So a connect or bind that the host lets go on, because the descriptor was
//              a unix socket when the host looked, cannot become one on an injected socket, whatever another
//              thread puts under the same number or address meanwhile. It can at most be made a disconnect
//              (AF_UNSPEC), and a socket that was disconnected (so may its peer have done it) gets nowhere
//              any more: not by connect or bind (Landlock, and the host refuses), not by MSG_FASTOPEN
//              (seccomp), not by listen (the host refuses).
//
// A signal does not take a caller out of its call once the host has heard of it, unless it kills
// (WAIT_KILLABLE_RECV): a listen or a non-blocking connect that ends with EINTR is not known to programs. For
// those that block, the host looks for signals (host/sandbox/inject/injector.cc).
//
// Landlock judges TCP since Linux 6.7. Without it there is no acceleration: seccomp alone cannot let a
// connect to a unix socket go on safely, and performing it in the command's place would take its root, its
// working directory and its credentials.

#include "container/seccomp/connect_trap.h"

#include <fcntl.h>
#include <linux/in6.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "container/seccomp/seccomp_rules.h"
#include "runtime/handshake.h"

namespace nsrun {
namespace {

// From linux/landlock.h of Linux 6.7, newer than the headers that distributions build with.
struct RulesetAttributes {
  std::uint64_t handled_access_fs;
  std::uint64_t handled_access_net;
};
constexpr std::uint64_t bind_tcp = 1 << 0;     // LANDLOCK_ACCESS_NET_BIND_TCP
constexpr std::uint64_t connect_tcp = 1 << 1;  // LANDLOCK_ACCESS_NET_CONNECT_TCP
constexpr int first_abi_with_tcp = 4;
constexpr std::uint64_t fast_open = MSG_FASTOPEN;

const char* const without_acceleration = "the command runs without acceleration";

Error unsupported(const char* what) { return {without_acceleration, errno_code(EOPNOTSUPP), what}; }

// A ruleset without a rule: no TCP connect or bind at all.
Result<UniqueFd> no_tcp() {
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < first_abi_with_tcp) return unsupported("it takes Linux 6.7 or later, with Landlock");
  const RulesetAttributes attributes{0, bind_tcp | connect_tcp};
  UniqueFd ruleset(
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0)));
  if (!ruleset) return unsupported("Landlock rules no TCP here");
  return ruleset;
}

struct SocketOption {
  int level;
  int name;
};
constexpr SocketOption forbidden_options[] = {
    {IPPROTO_IP, IP_OPTIONS}, {IPPROTO_IPV6, IPV6_RTHDR},    {IPPROTO_IPV6, IPV6_2292PKTOPTIONS},
    {IPPROTO_TCP, TCP_ULP},   {SOL_SOCKET, SO_BINDTODEVICE}, {SOL_SOCKET, 62 /* SO_BINDTOIFINDEX */},
};

bool add_rules(scmp_filter_ctx filter) {
  const auto sends_open = SCMP_ACT_ERRNO(EOPNOTSUPP);
  int failed = 0;
  for (const int call : {SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen)})
    failed |= ::seccomp_rule_add(filter, SCMP_ACT_NOTIFY, call, 0);
  failed |= forbid_io_uring(filter);
  failed |= ::seccomp_rule_add(filter, sends_open, SCMP_SYS(sendto), 1, has_flag(3, fast_open));
  failed |= ::seccomp_rule_add(filter, sends_open, SCMP_SYS(sendmsg), 1, has_flag(2, fast_open));
  failed |= ::seccomp_rule_add(filter, sends_open, SCMP_SYS(sendmmsg), 1, has_flag(3, fast_open));
  for (const auto& [level, name] : forbidden_options)
    failed |= ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(setsockopt), 2,
                                 int_argument(1, static_cast<std::uint32_t>(level)),
                                 int_argument(2, static_cast<std::uint32_t>(name)));
  failed |= forbid_socketcall(filter);
  return failed == 0;
}

Result<UniqueFd> install_filter() {
  const SeccompFilter filter = allow_everything();
  if (!filter || !add_rules(filter.get())) return unsupported("this libseccomp knows no notifications");
  UniqueFd listener = put_on_with_listener(filter.get());
  if (listener) return listener;
  if (errno == EBUSY)
    return Error{without_acceleration, errno_code(EBUSY),
                 "it does not work inside another sandbox that traps calls"};
  return unsupported("its kernel takes no filter that notifies");
}

}  // namespace

bool is_untrapped(const Error& error) {
  return error.code.value() == EOPNOTSUPP || error.code.value() == EBUSY;
}

Result<UniqueFd> trap_connects() {
  auto ruleset = no_tcp();
  if (!ruleset) return ruleset.error();
  auto listener = install_filter();
  if (!listener) return listener;
  if (::syscall(SYS_landlock_restrict_self, ruleset->get(), 0) < 0) {
    auto error = errno_error(without_acceleration);
    if (is_untrapped(error)) error.code = errno_code(EPERM);  // the filter is on
    return error;
  }
  return listener;
}

Result<void> offer_connects(int host, UniqueFd listener, int doors, bool to_accelerate) {
  Message message{MessageType::accelerate, to_accelerate ? 0 : 1};
  if (doors >= 0) {
    Message to_broker{MessageType::accelerate};
    to_broker.fds.emplace_back(::fcntl(listener.get(), F_DUPFD_CLOEXEC, 3));
    if (auto sent = send_message(doors, to_broker); !sent) return sent;
    message.fds.emplace_back(::fcntl(doors, F_DUPFD_CLOEXEC, 3));
  }
  message.fds.insert(message.fds.begin(), std::move(listener));
  for (const int family : {AF_INET, AF_INET6})
    if (UniqueFd probe(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0)); probe)
      message.fds.push_back(std::move(probe));
  return send_message(host, message);
}

}  // namespace nsrun
