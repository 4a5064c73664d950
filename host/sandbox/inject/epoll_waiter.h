#pragma once

#include <sys/epoll.h>

#include "runtime/fd.h"
#include "runtime/task.h"

namespace nsrun {

// Waits for somebody else's file, which is left as it is: Asio would make it non-blocking for all who have
// it. So it goes into an epoll set of ours, and Asio waits for the set. With the set the file is let go of;
// closing a copy alone would not do that, for epoll keeps a file until its last descriptor is closed.
class EpollWaiter {
 public:
  // `events`: EPOLL* bits. Where the file cannot be watched (epoll's limit of watches) nothing is ever ready.
  EpollWaiter(Executor executor, int file, std::uint32_t events)
      : set_(executor, ::epoll_create1(EPOLL_CLOEXEC)) {
    epoll_event event{};
    event.events = events;
    ::epoll_ctl(set_.native_handle(), EPOLL_CTL_ADD, file, &event);
  }
  EpollWaiter(const EpollWaiter&) = delete;

  Task<bool> ready() { return readable(set_); }  // false: cancelled

 private:
  Descriptor set_;
};

}  // namespace nsrun
