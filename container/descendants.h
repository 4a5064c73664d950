#pragma once

#include <sys/types.h>

#include <vector>

namespace nsrun {

// From now on orphans among our descendants become our children, however they were daemonised (prctl(2)).
void adopt_orphans();

// Our children, zombies included, in no order.
std::vector<pid_t> children();
// The same, for kernels without CONFIG_PROC_CHILDREN: reads all of /proc.
std::vector<pid_t> children_by_scan();

// Kills and reaps every descendant; returns when there is none. Needs adopt_orphans, or to be process 1.
void end_descendants();

}  // namespace nsrun
