// One epoll set for all sockets, which is itself waited for in the loop's: a socket that is held is in no
// other set, and Asio's asks for no EPOLLRDHUP, so that a client's early bytes would hide its end. Edge
// triggered: what was looked at is reported again only when more happens.

#include "host/services/wake/peer_close_watcher.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>

#include "runtime/bytes.h"

namespace nsrun {
namespace {

int make_epoll() {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) throw ErrorException(errno_error("cannot watch those who wait (epoll)"));
  return epoll;
}

// Who speaks TLS says goodbye before the end: one small record, an alert or what hides one (RFC
// 8446 5.1, 6.1).
bool is_goodbye(Bytes bytes) {
  constexpr std::size_t head = 5, longest = 32;
  const auto at = [&](std::size_t i) { return std::to_integer<std::size_t>(bytes[i]); };
  if (bytes.size() < head || (at(0) != 21 && at(0) != 23) || at(1) != 3) return false;
  const auto length = at(3) << 8 | at(4);
  return length <= longest && bytes.size() == head + length;
}

}  // namespace

bool has_left(int socket) {
  pollfd events{socket, POLLRDHUP, 0};
  if (::poll(&events, 1, 0) > 0 && (events.revents & POLLERR)) return true;
  std::array<std::byte, 64> first;
  const auto got = ::recv(socket, first.data(), first.size(), MSG_PEEK | MSG_DONTWAIT);
  if (got < 0) return errno != EAGAIN && errno != EINTR;
  return got == 0 ||
         ((events.revents & POLLRDHUP) && is_goodbye(Bytes(first).first(static_cast<std::size_t>(got))));
}

PeerCloseWatcher::PeerCloseWatcher(Executor executor) : epoll_(executor, make_epoll()) {}

void PeerCloseWatcher::watch(int socket, std::function<void()> left) {
  epoll_event event{};
  event.events = EPOLLRDHUP | EPOLLET;
  event.data.fd = socket;
  if (::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, socket, &event) == 0)
    watched_[socket] = std::move(left);
}

void PeerCloseWatcher::forget(int socket) {
  if (watched_.erase(socket) > 0) ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_DEL, socket, nullptr);
}

Task<> PeerCloseWatcher::run() {
  std::array<epoll_event, 64> events;
  while (co_await readable(epoll_)) {
    const int count = ::epoll_wait(epoll_.native_handle(), events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < count; ++i) {
      const auto found = watched_.find(events[static_cast<std::size_t>(i)].data.fd);
      if (found == watched_.end() || !has_left(found->first)) continue;
      const auto left = std::move(found->second);
      forget(found->first);
      left();
    }
  }
}

}  // namespace nsrun
