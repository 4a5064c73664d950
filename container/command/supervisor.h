#pragma once

#include <sys/types.h>

#include <optional>
#include <vector>

#include "container/closed/unix_connect_broker.h"
#include "container/command/descendants.h"
#include "container/files/etc_covers.h"
#include "runtime/handshake.h"

namespace nsrun {

// Looks after the command from its start to the end of all it left behind: reaps, passes signals on, makes
// sockets for the host, reports.
class Supervisor {
 public:
  // Opens what it waits by: to be made before the command starts, and with SIGCHLD blocked. The host's socket
  // is borrowed. With `linger`, processes that the command left behind may end by themselves; otherwise they
  // end with it.
  static Result<Supervisor> open(int host, bool linger);

  // The command's status (128 + n for signal n) when no process is left. Nothing when the host went away: all
  // have been killed then. `doors` is a closed sandbox's; it and `covers` are borrowed, and null where
  // there is none.
  std::optional<int> run(pid_t command, UnixConnectBroker* doors = nullptr, EtcCovers* covers = nullptr);

  std::vector<int> descriptors() const { return {signals_.get(), events_.get(), descendants_.list()}; }

 private:
  enum class State { running, host_gone };

  Supervisor(int host, bool linger, UniqueFd signals, UniqueFd events)
      : host_(host), linger_(linger), signals_(std::move(signals)), events_(std::move(events)) {}
  State serve(int source);
  void reap();
  State hear_host();
  void resume(const std::string& stop);
  void pass_signal(int signal) const;
  bool finished();

  int host_;
  bool linger_;
  UniqueFd signals_, events_;  // SIGCHLD; an epoll set of all that is waited for
  Descendants descendants_;
  pid_t command_ = -1;
  UnixConnectBroker* doors_ = nullptr;  // null: none, or nobody sends it requests any more
  EtcCovers* covers_ = nullptr;
  std::optional<int> status_;  // the command's, once it ended
  unsigned stops_ = 0;         // how often the command was stopped
  bool stopped_ = false;       // it still is
  bool childless_ = false;     // as of the last reap()
};

}  // namespace nsrun
