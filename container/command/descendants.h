#pragma once

#include <sys/types.h>

#include <vector>

#include "runtime/fd.h"

namespace nsrun {

// From now on orphans among our descendants become our children, however they were daemonised (prctl(2)).
void adopt_orphans();

// Our children, zombies included, in no order: reads all of /proc. For kernels without CONFIG_PROC_CHILDREN.
std::vector<pid_t> children_by_scan();

// The children and further descendants of the thread that makes this object.
class Descendants {
 public:
  // Opens the kernel's list now. A process inside with our user id may take away our right to open files
  // later (prlimit(2)).
  Descendants();

  // Our children, zombies included, in no order.
  std::vector<pid_t> children() const;
  // Kills and reaps every descendant; returns when there is none, or when none of those left has ended for a
  // second: the kernel keeps them. Needs adopt_orphans, or to be process 1.
  void end() const;

  int list() const { return list_.get(); }  // -1: this kernel has none

 private:
  UniqueFd list_;
};

}  // namespace nsrun
