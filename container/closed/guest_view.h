#pragma once

#include <sys/types.h>

#include <string>

#include "runtime/result.h"

namespace nsrun {

// A thread of the guest's, as /proc tells of it. `proc`: a directory descriptor of the sandbox's procfs that
// the guest cannot mount over.
class GuestThread {
 public:
  GuestThread(int proc, pid_t thread);
  // The thread that a pidfd of ours names, by its number in the sandbox; 0 when it is gone.
  static pid_t named_by(int proc, int pidfd);

  // Has this process see files as the thread does, with the thread's rights and no others: its root and
  // working directories, its ids, its capabilities over our user namespace. For a process that does one thing
  // and ends.
  Result<void> share_view() const;
  // A path in which "self" is the thread, where it begins with /proc/self, /proc/thread-self or /dev/fd.
  std::string as_own(const std::string& path) const;
  // A descriptor of its network namespace; none where that is ours.
  Result<int> other_network() const;

 private:
  std::string field(const char* label) const;
  std::string link(const char* name) const;
  Result<void> take_ids() const;
  Result<void> take_capabilities(bool same_user_namespace) const;

  int proc_;
  std::string path_;    // below proc_
  std::string status_;  // proc_pid_status(5)
};

}  // namespace nsrun
