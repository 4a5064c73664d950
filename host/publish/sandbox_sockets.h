#pragma once

#include <sys/socket.h>

#include <deque>
#include <functional>
#include <vector>

#include "runtime/fd.h"
#include "runtime/handshake.h"
#include "runtime/task.h"

namespace nsrun {

// TCP sockets that live in the sandbox's namespace: the agent makes them, a handful at a time, so that a
// connection seldom waits for one. A child that has no agent, or whose channel carries packets, makes none.
class SandboxSockets {
 public:
  // `ask` sends a message to the agent.
  SandboxSockets(Executor executor, std::function<void(Message)> ask)
      : executor_(executor), ask_(std::move(ask)) {}

  // From here on there is an agent that hears what it is asked; what it was asked before, it would not.
  void agent_listens() { available_ = true; }
  bool available() const { return available_; }
  // A non-blocking stream socket of the family (AF_INET, AF_INET6). ETIMEDOUT when the agent does not answer.
  Task<Result<UniqueFd>> take(int family);
  // The agent's answer. What nobody asked for is closed.
  void made(Message message);

 private:
  struct Pool {
    std::deque<UniqueFd> ready;
    int asked = 0;  // sockets on their way
    std::vector<Signal*> waiting;
  };
  Pool& pool(int family) { return family == AF_INET ? v4_ : v6_; }
  void refill(int family);

  Executor executor_;
  std::function<void(Message)> ask_;
  Pool v4_, v6_;
  bool available_ = false;
};

}  // namespace nsrun
