#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>

#include "runtime/address.h"
#include "runtime/fd.h"
#include "runtime/task.h"

namespace nsrun {

// The connections of lennut clients that wait for one to carry, oldest first, and those who ask for them, in
// turn.
class WaitingClients {
 public:
  static constexpr std::size_t most = 128;  // a further one is closed at once

  struct Waiter {
    UniqueFd socket;
    Endpoint client;  // whose it is
  };

  // `tasks` owns what watches them, and ends before this does.
  explicit WaitingClients(Scope& tasks) : tasks_(tasks) {}

  // A stream socket, non-blocking.
  void add(Waiter waiter);
  // The one that waits longest and lives; nothing: none has come by then, or they were sent away.
  Task<std::optional<Waiter>> take(Clock::time_point until);
  std::size_t size() const { return places_.size(); }
  // Closes all of them, and those that come; whoever asks gets none.
  void send_away();

 private:
  struct Place {
    Place(std::uint64_t n, Executor executor, Waiter one)
        : number(n),
          socket(std::make_shared<Descriptor>(executor, one.socket.release())),
          client(one.client) {}
    const std::uint64_t number;
    // Who watches it has it too: an operation that ended by its going is not over before it was told so, and
    // until then may be cancelled.
    std::shared_ptr<Descriptor> socket;
    Endpoint client;
  };
  // Somebody waits for one, in turn.
  class Turn;

  Task<> watch(std::uint64_t number);
  std::optional<Waiter> pop();
  void wake_next();

  Scope& tasks_;
  std::list<Place> places_;
  std::list<Signal*> asking_;
  std::uint64_t last_ = 0;
  bool closed_ = false;
};

}  // namespace nsrun
