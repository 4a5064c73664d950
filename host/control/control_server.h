#pragma once

#include "host/control/control_commands.h"
#include "host/listen/unix_socket.h"

namespace nsrun {

// The socket at which it is served, for its owner alone.
Result<UnixSocket> bind_control(const std::string& path);

// Serves the control socket: a line of JSON asks, a line answers. On one loop, which it never keeps waiting:
// a client that does not read its answers waits alone.
class ControlServer {
 public:
  static constexpr std::size_t max_request = 64 << 10;  // bytes; a longer line ends the connection
  static constexpr std::size_t max_clients = 16;        // at once; more are turned away
  static constexpr auto patience = 30s;                 // for a client to take its answer; then it is left

  // `tasks` end before this does.
  ControlServer(UnixSocket socket, ControlCommands commands, Scope& tasks)
      : socket_(std::move(socket)), commands_(std::move(commands)), tasks_(tasks) {}
  void begin() { tasks_.spawn(accept()); }

 private:
  Task<> accept();
  Task<> serve(UniqueFd client);
  Task<bool> answer_lines(Descriptor& client, std::string& received);  // false: the client is to go
  Task<bool> send(Descriptor& client, boost::json::object answer);     // likewise

  UnixSocket socket_;
  ControlCommands commands_;
  Scope& tasks_;
  std::size_t clients_ = 0;
};

}  // namespace nsrun
