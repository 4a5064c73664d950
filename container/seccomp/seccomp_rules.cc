#include "container/seccomp/seccomp_rules.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <vector>

namespace nsrun {
namespace {

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

constexpr unsigned wait_killable = 1 << 5;  // SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, Linux 5.19

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

}  // namespace

SeccompFilter allow_everything() {
  SeccompFilter filter(::seccomp_init(SCMP_ACT_ALLOW));
  if (!filter || ::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_NNP, 0) < 0 ||
      !add_architectures(filter.get()))
    return nullptr;
  return filter;
}

int forbid_socketcall(scmp_filter_ctx filter) {
  return ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(socketcall), 0);
}

int forbid_io_uring(scmp_filter_ctx filter) {
  int failed = 0;
  for (const int call : {SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register)})
    failed |= ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), call, 0);
  return failed;
}

UniqueFd put_on_with_listener(scmp_filter_ctx filter) {
  auto program = program_of(filter);
  const sock_fprog code{static_cast<unsigned short>(program.size()), program.data()};
  constexpr unsigned flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | wait_killable;
  // The kernel puts it on wholly or not at all.
  return UniqueFd(static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &code)));
}

}  // namespace nsrun
