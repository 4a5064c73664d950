#pragma once

#include <cstddef>

// Descriptors that are kept free for whoever operates this process: its peers' flows may take all others, and
// the control socket must still answer, so that they can be cut.

namespace nsrun {

constexpr unsigned long descriptor_reserve = 16;  // descriptors

// Raises the limit of open files (RLIMIT_NOFILE) to what is allowed, less the reserve: a flow is a
// descriptor, and the soft limit of most shells, 1,024, is for other programs.
void keep_descriptor_reserve();

// While it lives the reserve may be used, by all threads: so not for long. What was opened stays. It does
// nothing where keep_descriptor_reserve() was not called.
class UseDescriptorReserve {
 public:
  UseDescriptorReserve();
  ~UseDescriptorReserve();
  UseDescriptorReserve(const UseDescriptorReserve&) = delete;

 private:
  bool in_use_ = false;
};

}  // namespace nsrun
