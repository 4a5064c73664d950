#include "host/sandbox/publisher.h"

#include <algorithm>

#include "host/listen/bind.h"

namespace nsrun {

Result<void> Publisher::add(const PublishedPort& port) {
  const std::string doing = "cannot publish port " + std::to_string(port.host_port) + " (" +
                            std::string(to_string(port.protocol)) + ")" +
                            (port.address ? " on " + port.address->to_string() : "");
  auto socket = bind_ip(port.protocol, port.address, port.host_port, doing,
                        "another program listens there; publish another host port");
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
  const auto protocol = listener->port.protocol;
  ClientSink sink = sink_;
  sink.place = "the published port " + std::to_string(listener->port.host_port);
  sink.key = [this, protocol, port = listener->port.guest_port](const Client& client) {
    return FlowKey{protocol, client.address, guest_.at(client.address.address, port)};
  };
  const auto take = protocol == Protocol::tcp ? accept_streams : receive_datagrams;
  co_await take(executor_, listener->socket.get(), std::move(sink));
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
