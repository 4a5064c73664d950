// Theory of operation
//
// A client that waits says nothing, so whatever can be read from it before its turn is its end: it is
// watched, and goes as soon as its kernel says so. One that vanished without a word is found by keepalive.
// Just before it is given away it is looked at once more, for its end may have come in this very turn of the
// loop.
//
// Who asks while none waits gets into a line, and is woken when one comes; only the first in the line takes,
// and nobody passes it by. Whoever leaves the line wakes the next.

#include "host/services/lennut/waiting_clients.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

#include "host/flow/keepalive.h"

namespace nsrun {
namespace {

// Of a waiting client: the longest that one which is gone without a word is taken for alive.
constexpr KeepAlive while_waiting{.idle = 15, .interval = 5, .count = 3};

bool is_alive(int socket) {
  char byte = 0;
  const auto got = ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

}  // namespace

class WaitingClients::Turn {
 public:
  explicit Turn(WaitingClients& of)
      : of_(of), came_(of.tasks_.executor()), place_(of.asking_.insert(of.asking_.end(), &came_)) {}
  ~Turn() {
    of_.asking_.erase(place_);
    of_.wake_next();
  }
  Turn(const Turn&) = delete;
  bool is_first() const { return of_.asking_.front() == &came_; }
  Task<> wait() { return came_.wait(); }

 private:
  WaitingClients& of_;
  Signal came_;
  std::list<Signal*>::iterator place_;
};

void WaitingClients::wake_next() {
  if (!asking_.empty() && (closed_ || !places_.empty())) asking_.front()->raise();
}

void WaitingClients::add(Waiter waiter) {
  if (closed_ || places_.size() >= most) return;
  set_keepalive(waiter.socket.get(), while_waiting);
  places_.emplace_back(++last_, tasks_.executor(), std::move(waiter));
  tasks_.spawn(watch(last_));
  wake_next();
}

// A byte out of turn is the client's own affair, and the stream's first: it is kept, and no more looked for.
Task<> WaitingClients::watch(std::uint64_t number) {
  const auto find = [this, number] { return std::ranges::find(places_, number, &Place::number); };
  const auto socket = find()->socket;
  const auto [error] = co_await socket->async_wait(Descriptor::wait_read, use_result);
  const auto place = find();
  if (!error && place != places_.end() && !is_alive(socket->native_handle())) places_.erase(place);
}

std::optional<WaitingClients::Waiter> WaitingClients::pop() {
  while (!places_.empty()) {
    Waiter waiter{UniqueFd(places_.front().socket->release()), places_.front().client};
    places_.pop_front();
    if (is_alive(waiter.socket.get())) return waiter;
  }
  return std::nullopt;
}

Task<std::optional<WaitingClients::Waiter>> WaitingClients::take(Clock::time_point until) {
  Turn turn(*this);
  for (;;) {
    if (closed_) co_return std::nullopt;
    if (turn.is_first())
      if (auto waiter = pop()) co_return waiter;
    const auto left = until - Clock::now();
    if (left <= Clock::duration::zero()) co_return std::nullopt;
    co_await either(turn.wait(), sleep_for(left));
  }
}

void WaitingClients::send_away() {
  closed_ = true;
  for (const auto& place : places_) place.socket->close();
  places_.clear();
  wake_next();
}

}  // namespace nsrun
