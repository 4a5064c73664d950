#pragma once

#include <memory>
#include <optional>
#include <string>

#include "runtime/connection.h"

namespace nsrun {

// A proxy's client between its requests: its connection, and what was read of it that nobody has used yet.
struct ProxyClient {
  std::unique_ptr<Connection> connection;
  std::string ahead;

  // Reads some more; false at the end. `ahead` grows by no more than `max_read` bytes.
  static constexpr std::size_t max_read = 65'536;
  Task<Result<bool>> read();
};

// A client that was lent to a request, on its way back. Either of the two that have it may go first: the task
// that reads the client's requests (the service ends), or the request (its flow is over).
class ClientLease {
 public:
  enum class End {
    goes_on,    // the answer was whole, and another request may follow
    over,       // nothing more can be said
    not_begun,  // no byte of an answer
    gone        // its connection is a flow's own now, or broken
  };
  explicit ClientLease(Executor executor) : back_(executor) {}

  void give_back(ProxyClient client, End end) {
    client_ = std::move(client);
    end_ = end;
    back_.raise();
  }
  void is_gone() { give_back({}, End::gone); }
  Task<> back() { return back_.wait(); }
  End end() const { return end_; }
  ProxyClient take() { return std::move(client_); }

 private:
  Signal back_;
  ProxyClient client_;
  End end_ = End::gone;
};

}  // namespace nsrun
