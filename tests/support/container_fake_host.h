#pragma once

#include <functional>
#include <string>
#include <vector>

#include "container/agent.h"
#include "runtime/command.h"
#include "runtime/handshake.h"

namespace nsrun {

// The host's part of the handshake, and nothing else: no packet is ever answered. It starts the agent in real
// namespaces; the command's standard output comes here.
class FakeHost {
 public:
  explicit FakeHost(AgentOptions options);
  // A child of another kind in the same namespaces.
  explicit FakeHost(std::function<int()> child);
  ~FakeHost();  // leaves, and waits for the child

  // Where the child finds its host: out of the way of this process's own descriptors.
  static constexpr int child_fd = 100;

  // The next message of this kind. Earlier ones are kept in `heard`. After 20 s, or at the end, an empty
  // `failed` message with number -1 comes instead.
  Message await(MessageType type);
  // Maps ids when asked, takes the device and says go.
  void bring_up();
  // bring_up, and on to `started`.
  void start_command();
  // On to `exited`; the status.
  int await_exit() { return await(MessageType::exited).number; }
  void send(Message message);

  std::string read_line();  // of the command's output; empty at its end
  std::string read_all();
  void leave() { socket_.reset(); }
  int wait_for_agent();
  int socket() const { return socket_.get(); }
  pid_t pid() const { return agent_.pid(); }

  std::vector<Message> heard;
  UniqueFd device;
  int mtu = 0;

 private:
  void start_child(Command command);
  void map_ids(const Message& request);

  UniqueFd socket_;
  UniqueFd output_;
  Process agent_;
};

// Options for a shell command in the sandbox, as one's own id.
AgentOptions shell(const std::string& script);

// Whether a process with this id exists (zombies do).
bool exists(pid_t pid);

}  // namespace nsrun
