#pragma once

#include <sys/socket.h>

#include <deque>
#include <functional>
#include <vector>

#include "runtime/fd.h"
#include "runtime/handshake.h"
#include "runtime/task.h"

namespace nsrun {

// Sockets that live in the sandbox's namespace: the agent makes them, a handful at a time, so that a
// connection seldom waits for one. A child without an agent makes them before `go` alone; one whose channel
// carries packets makes none.
class SandboxSockets {
 public:
  // `ask` sends a message to the agent.
  SandboxSockets(Executor executor, std::function<void(Message)> ask)
      : executor_(executor), ask_(std::move(ask)), agent_comes_(executor, agent_limit) {}

  // From here on there is an agent that hears what it is asked, whenever that is.
  void agent_listens() {
    available_ = true;
    agent_comes_.cancel();
  }
  bool available() const { return available_; }
  // Whether there is one; at the beginning it may be on its way.
  Task<bool> has_agent();
  // A non-blocking socket of the family (AF_INET, AF_INET6) and type (SOCK_STREAM, SOCK_DGRAM). ETIMEDOUT
  // when the agent does not answer.
  Task<Result<UniqueFd>> take(int family, int type);
  // The agent's answer. What nobody asked for is closed.
  void made(Message message);

 private:
  struct Pool {
    std::deque<UniqueFd> ready;
    int asked = 0;  // sockets on their way
    std::vector<Signal*> waiting;
  };
  Pool& pool(int family, int type) { return pools_[family != AF_INET][type != SOCK_STREAM]; }
  void refill(int family, int type);

  static constexpr auto agent_limit = std::chrono::seconds(2);  // of a sandbox's life; then it has none

  Executor executor_;
  std::function<void(Message)> ask_;
  Timer agent_comes_;
  Pool pools_[2][2];  // IPv4 and IPv6, streams and datagrams
  bool available_ = false;
};

}  // namespace nsrun
