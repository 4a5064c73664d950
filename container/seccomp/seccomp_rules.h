#pragma once

#include <seccomp.h>

#include <cstdint>
#include <memory>

#include "runtime/fd.h"

namespace nsrun {

struct ReleaseFilter {
  void operator()(void* filter) const { ::seccomp_release(filter); }
};
using SeccompFilter = std::unique_ptr<void, ReleaseFilter>;

// A filter that allows everything, for every ABI that this machine's kernel may offer. Whether no_new_privs
// is set is left as it is. Null where libseccomp cannot make one.
SeccompFilter allow_everything();

// The low 32 bits of an argument that the kernel takes as an int: it ignores the others.
inline scmp_arg_cmp int_argument(unsigned number, std::uint32_t value) {
  return {number, SCMP_CMP_MASKED_EQ, 0xffff'ffff, value};
}
inline scmp_arg_cmp has_flag(unsigned number, std::uint64_t flag) {
  return {number, SCMP_CMP_MASKED_EQ, flag, flag};
}

// i386's socketcall, whose arguments are in memory, is absent (ENOSYS): 32-bit programs that know no other
// way have no sockets. To be called after the rules for socket calls: it takes the place of what libseccomp
// made of them for this call. 0 or an error.
int forbid_socketcall(scmp_filter_ctx filter);
// io_uring is absent (ENOSYS): it makes, connects and sends behind the filter's back. Programs fall back.
int forbid_io_uring(scmp_filter_ctx filter);

// Puts the filter on, and gives the listener that hears of its notifications; or none, and errno: EBUSY where
// a filter with a listener is on already. Once a listener was heard of a call, only a signal that kills ends
// it.
UniqueFd put_on_with_listener(scmp_filter_ctx filter);

}  // namespace nsrun
