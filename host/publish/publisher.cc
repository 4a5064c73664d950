#include "host/publish/publisher.h"

#include <algorithm>

namespace nsrun {

Result<void> Publisher::add(const PublishedPort& port) {
  auto socket = bind_published(port);
  if (!socket) return socket.error();
  const auto listener = listeners_.insert(listeners_.end(), {.port = port, .socket = std::move(*socket)});
  if (tasks_) start(listener);
  return {};
}

void Publisher::begin(Scope& tasks, GuestAddresses guest, ClientSink sink) {
  tasks_ = &tasks;
  guest_ = guest;
  sink_ = std::move(sink);
  // A task may end at once, and take its listener with it: step first.
  for (auto listener = listeners_.begin(); listener != listeners_.end();) start(listener++);
}

void Publisher::start(Place listener) {
  tasks_->spawn_cancellable([&](auto& cancel) {
    listener->cancel = &cancel;
    return listen(listener);
  });
}

Task<> Publisher::listen(Place listener) {
  struct Farewell {
    std::list<Listener>& listeners;
    Place listener;
    ~Farewell() {
      for (const auto& waiting : listener->awaiting_end) waiting->raise();
      listeners.erase(listener);
    }
  };
  const Farewell farewell{listeners_, listener};
  const auto& port = listener->port;
  const auto take = port.protocol == Protocol::tcp ? accept_published : receive_published;
  co_await take(executor_, listener->socket.get(), port, guest_, sink_);
}

Task<bool> Publisher::remove(PublishedPort port) {
  const auto same = [&](const Listener& listener) { return listener.port == port; };
  const auto listener = std::find_if(listeners_.begin(), listeners_.end(), same);
  if (listener == listeners_.end()) co_return false;
  if (!listener->cancel) {
    listeners_.erase(listener);
    co_return true;
  }
  const auto ended = std::make_shared<Signal>(executor_);  // the caller may go first
  listener->awaiting_end.push_back(ended);
  listener->cancel->emit(asio::cancellation_type::terminal);
  co_await ended->wait();
  co_return true;
}

std::vector<PublishedPort> Publisher::list() const {
  std::vector<PublishedPort> ports;
  for (const auto& listener : listeners_) ports.push_back(listener.port);
  return ports;
}

}  // namespace nsrun
