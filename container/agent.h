#pragma once

#include <optional>
#include <string>
#include <vector>

#include "container/command/guest_command.h"
#include "container/namespaces.h"
#include "runtime/id_map.h"
#include "runtime/network.h"

namespace nsrun {

// Whether the command's connects are asked of the host, so that it may give sockets of its own instead. Only
// where it takes the offer (HostOptions::accelerate): the command connects nothing otherwise.
enum class Acceleration {
  off,
  automatic,  // where it can be
  on,         // else a warning says so
};

// What the nsrun command's child does with its life. Filled in by the host process before it starts the
// child: ids, signals and descriptors are taken there, where they still mean what the caller meant.
struct AgentOptions {
  GuestCommand command;
  NetworkOptions network;
  NamespaceOptions namespaces;       // beside those that `closed` brings
  IdMaps ids;                        // empty: already mapped (Command::ids_from_host was false)
  bool resolv_conf = true;           // a private /etc/resolv.conf that names the guest's name server
  std::optional<std::string> hosts;  // the text of a private /etc/hosts; nothing: the host's stays
  // Files of root's that have to look like the user's own (root_owned_ssh_files()).
  std::vector<std::string> own_copies;
  Acceleration acceleration = Acceleration::off;
  // Nothing leads outside but the network: pid and ipc namespaces, no unix sockets of outside
  // (closed/covers.h), no system calls past them (closed/filter.h); for good, even where the guest is root
  // inside (closed/locked_mounts.h).
  bool closed = false;
  std::vector<std::string> allowed_unix;  // closed: unix sockets that stay reachable; "*": all
  // closed: files that the host reads again while the command runs, and the command must not write
  // (closed/guarded_files.h)
  std::vector<std::string> guarded_files;
  bool linger = false;  // until the command's last descendant ends, rather than the command itself
  // Beside 0, 1 and 2, what the command inherits (inherited_descriptors()). All else is closed.
  std::vector<int> kept_fds;
};

// For Command::clone_flags.
int agent_clone_flags(const AgentOptions& options);

// The whole life of the child, to be called from Command::run. `handshake_fd` is the child's end of the
// host's socket pair. The result is the status to exit with; the host hears it, and more, as messages:
// `exited` is the last, and says that nothing of the sandbox runs any more.
//
// The agent then waits for the host to leave, so that the network is there until every flow has ended.
// A host that wants an end before that closes its socket: the agent kills everything. Killing the agent
// itself would leave the command's descendants running.
//
// Job control: a key on the terminal reaches the command directly. The host keeps SIGINT, SIGQUIT, SIGTSTP,
// SIGTTIN and SIGTTOU from acting on itself; hearing `stopped` it raises SIGSTOP, and once continued sends
// SIGCONT as a `signal` message.
int run_agent(int handshake_fd, const AgentOptions& options);

}  // namespace nsrun
