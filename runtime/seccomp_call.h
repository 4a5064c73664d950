#pragma once

#include <cstddef>
#include <cstdint>

namespace nsrun {

// A system call that waits for its answer at the listener of a seccomp filter (seccomp_unotify(2)); `id`
// names it.

// The caller still waits; if not, it was killed or a signal took it out of the call.
bool call_waits(int listener, std::uint64_t id);
// Ends the call with an errno, or 0. False when nobody waits any more.
bool answer_call(int listener, std::uint64_t id, int error);

constexpr std::size_t max_notification = 1024;  // bytes; newer kernels may have larger ones than we know

}  // namespace nsrun
