#pragma once

#include <list>
#include <memory>
#include <vector>

#include "host/listen/listener.h"
#include "host/sandbox/published_port.h"

namespace nsrun {

// The guest's own.
struct GuestAddresses {
  IpAddress v4, v6;
  Endpoint at(const IpAddress& client, std::uint16_t port) const { return {client.is_v4() ? v4 : v6, port}; }
};

// The published ports of one sandbox, which may come and go while it runs. On one loop.
class Publisher {
 public:
  explicit Publisher(Executor executor) : executor_(executor) {}

  // Listens from now on; clients wait until begin(). An error where the port is in use, here or elsewhere.
  Result<void> add(const PublishedPort& port);
  // From here on clients are taken, each for the guest's address of its own family; `sink` goes without a
  // key and a place. The listeners' tasks live in `tasks`, which end before this does.
  void begin(Scope& tasks, GuestAddresses guest, ClientSink sink);
  // Nobody listens there when this is done. TCP connections go on; a UDP port's clients end with it. False:
  // there was no such port.
  Task<bool> remove(PublishedPort port);
  std::vector<PublishedPort> list() const;
  // Once the tasks have ended: what never began to be listened at is closed as well.
  void close() { listeners_.clear(); }

 private:
  struct Listener {
    PublishedPort port;
    UniqueFd socket;
    asio::cancellation_signal* cancel = nullptr;  // while a task listens
    std::vector<std::shared_ptr<Signal>> awaiting_end = {};
  };
  using Place = std::list<Listener>::iterator;
  void start(Place listener);
  Task<> listen(Place listener);

  Executor executor_;
  std::list<Listener> listeners_;
  Scope* tasks_ = nullptr;  // once begun
  GuestAddresses guest_;
  ClientSink sink_;
};

}  // namespace nsrun
