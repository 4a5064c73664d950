#include "runtime/descriptor_reserve.h"

#include <sys/resource.h>

// The kernel compares a new descriptor's number with the soft limit, so the reserve is what lies between the
// soft and the hard limit. Descriptors above the soft limit stay valid. Two threads that use it at once may
// cut each other's use short, never leave the limit raised.

namespace nsrun {
namespace {

// A limit so low that the reserve would be a good part of it is left whole.
bool has_reserve(const rlimit& limit) {
  return limit.rlim_max != RLIM_INFINITY && limit.rlim_max > 8 * descriptor_reserve;
}

}  // namespace

void keep_descriptor_reserve() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = has_reserve(limit) ? limit.rlim_max - descriptor_reserve : limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

UseDescriptorReserve::UseDescriptorReserve() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) < 0 || !has_reserve(limit)) return;
  if (limit.rlim_cur != limit.rlim_max - descriptor_reserve) return;
  limit.rlim_cur = limit.rlim_max;
  in_use_ = ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

UseDescriptorReserve::~UseDescriptorReserve() {
  if (in_use_) keep_descriptor_reserve();
}

}  // namespace nsrun
