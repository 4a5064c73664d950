#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <span>

#include "runtime/fd.h"

namespace nsrun {

// Hears of its descriptor.
class Pollable {
 public:
  virtual void ready(std::uint32_t events) = 0;  // EPOLL* bits

 protected:
  ~Pollable() = default;
};

// The stack's own epoll set: its device and the sockets on the fast path. Asio waits on the set's descriptor,
// so a whole batch costs one Asio wake-up (epoll(7): an epoll descriptor is readable when events wait).
class Poller {
 public:
  Poller();
  int fd() const { return fd_.get(); }
  bool add(int fd, std::uint32_t events, Pollable& pollable);
  void remove(int fd);
  // Calls ready() for everything that is; never blocks. How many there were.
  int poll();

 private:
  UniqueFd fd_;
  std::array<epoll_event, 256> events_;
};

}  // namespace nsrun
