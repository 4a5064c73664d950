// What the command may still do by itself once sockets of the host's network get into its hands.
//
// With --accelerate a connected socket that lives in the host's network namespace replaces the command's own
// (host/inject/injector.cc). It must stay what it is: connected to where the policy allowed, and nowhere
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
// those that block, the host looks for signals (host/inject/injector.cc).
//
// Landlock judges TCP since Linux 6.7. Without it there is no acceleration: seccomp alone cannot let a
// connect to a unix socket go on safely, and performing it in the command's place would take its root, its
// working directory and its credentials.

#include "container/connect_trap.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/in6.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>
#include <vector>

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
constexpr unsigned wait_killable = 1 << 5;  // SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, Linux 5.19
constexpr std::uint64_t fast_open = MSG_FASTOPEN;

const char* const doing = "the command runs without acceleration";

Error unsupported(const char* what) { return {doing, errno_code(EOPNOTSUPP), what}; }

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

struct ReleaseFilter {
  void operator()(void* filter) const { ::seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, ReleaseFilter>;

// The first 32 bits of an argument that the kernel takes as an int: it ignores the others.
scmp_arg_cmp int_argument(unsigned number, std::uint32_t value) {
  return {number, SCMP_CMP_MASKED_EQ, 0xffff'ffff, value};
}
scmp_arg_cmp has_flag(unsigned number, std::uint64_t flag) {
  return {number, SCMP_CMP_MASKED_EQ, flag, flag};
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
  const auto absent = SCMP_ACT_ERRNO(ENOSYS);
  int failed = 0;
  for (const int call : {SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen)})
    failed |= ::seccomp_rule_add(filter, SCMP_ACT_NOTIFY, call, 0);
  for (const int call : {SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register)})
    failed |= ::seccomp_rule_add(filter, absent, call, 0);
  failed |= ::seccomp_rule_add(filter, sends_open, SCMP_SYS(sendto), 1, has_flag(3, fast_open));
  failed |= ::seccomp_rule_add(filter, sends_open, SCMP_SYS(sendmsg), 1, has_flag(2, fast_open));
  failed |= ::seccomp_rule_add(filter, sends_open, SCMP_SYS(sendmmsg), 1, has_flag(3, fast_open));
  for (const auto& [level, name] : forbidden_options)
    failed |= ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(setsockopt), 2,
                                 int_argument(1, static_cast<std::uint32_t>(level)),
                                 int_argument(2, static_cast<std::uint32_t>(name)));
  // The last: it takes the place of what libseccomp made of the others for this call.
  failed |= ::seccomp_rule_add(filter, absent, SCMP_SYS(socketcall), 0);
  return failed == 0;
}

// The other ABIs that this machine's kernel may offer beside the native one.
bool add_architectures(scmp_filter_ctx filter) {
#if defined(__x86_64__) && !defined(__ILP32__)
  return ::seccomp_arch_add(filter, SCMP_ARCH_X86) == 0 && ::seccomp_arch_add(filter, SCMP_ARCH_X32) == 0;
#elif defined(__aarch64__)
  return ::seccomp_arch_add(filter, SCMP_ARCH_ARM) == 0;
#else
  return filter != nullptr;
#endif
}

// The kernel's form of it. libseccomp before 2.6 knows no WAIT_KILLABLE_RECV, so it does not load it.
std::vector<sock_filter> program_of(scmp_filter_ctx filter) {
  const UniqueFd file(::memfd_create("filter", MFD_CLOEXEC));
  struct stat written {};
  if (::seccomp_export_bpf(filter, file.get()) < 0 || ::fstat(file.get(), &written) < 0) return {};
  std::vector<sock_filter> program(static_cast<std::size_t>(written.st_size) / sizeof(sock_filter));
  if (::pread(file.get(), program.data(), program.size() * sizeof(sock_filter), 0) != written.st_size)
    return {};
  return program;
}

Result<UniqueFd> install_filter() {
  const Filter filter(::seccomp_init(SCMP_ACT_ALLOW));
  std::vector<sock_filter> program;
  if (filter && add_architectures(filter.get()) && add_rules(filter.get()))
    program = program_of(filter.get());
  if (program.empty()) return unsupported("this libseccomp knows no notifications");
  const sock_fprog code{static_cast<unsigned short>(program.size()), program.data()};
  constexpr unsigned flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | wait_killable;
  // The kernel puts it on wholly or not at all. Whether no_new_privs is set was decided before (--map-root).
  UniqueFd listener(static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &code)));
  if (listener) return listener;
  if (errno == EBUSY)
    return Error{doing, errno_code(EBUSY), "it does not work inside another sandbox that traps calls"};
  return unsupported("its kernel takes no filter that notifies");
}

Result<void> offer(int host, UniqueFd listener) {
  Message message{MessageType::accelerate};
  message.fds.push_back(std::move(listener));
  for (const int family : {AF_INET, AF_INET6})
    if (UniqueFd probe(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0)); probe)
      message.fds.push_back(std::move(probe));
  return send_message(host, message);
}

}  // namespace

bool is_untrapped(const Error& error) {
  return error.code.value() == EOPNOTSUPP || error.code.value() == EBUSY;
}

Result<void> trap_connects(int host) {
  auto ruleset = no_tcp();
  if (!ruleset) return ruleset.error();
  auto listener = install_filter();
  if (!listener) return listener.error();
  if (::syscall(SYS_landlock_restrict_self, ruleset->get(), 0) < 0) {
    auto error = errno_error(doing);
    if (is_untrapped(error)) error.code = errno_code(EPERM);  // the filter is on
    return error;
  }
  return offer(host, std::move(*listener));
}

}  // namespace nsrun
