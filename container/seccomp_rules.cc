#include "container/seccomp_rules.h"

#include <cerrno>

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

}  // namespace nsrun
