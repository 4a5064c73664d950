#include "netstack/poller.h"

#include "runtime/result.h"

namespace nsrun {

Poller::Poller() : fd_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!fd_) throw ErrorException(errno_error("cannot make an epoll set"));
}

bool Poller::add(int fd, std::uint32_t events, Pollable& pollable) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &pollable;
  return ::epoll_ctl(fd_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void Poller::remove(int fd) { ::epoll_ctl(fd_.get(), EPOLL_CTL_DEL, fd, nullptr); }

int Poller::poll() {
  const int count = ::epoll_wait(fd_.get(), events_.data(), static_cast<int>(events_.size()), 0);
  for (int i = 0; i < count; ++i) static_cast<Pollable*>(events_[i].data.ptr)->ready(events_[i].events);
  return count;
}

}  // namespace nsrun
