#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <vector>

#include "container/closed/file_identity.h"
#include "runtime/fd.h"

namespace nsrun {

// To which unix sockets a closed sandbox's broker connects.
struct UnixConnectRules {
  UniqueFd proc;  // a procfs of the sandbox's pid namespace, in a mount that nobody else has
  std::vector<FileIdentity> allowed;  // sockets of outside that may be reached
};

// A mount of /proc that is in no mount namespace, so that nobody can mount over it. It needs CAP_SYS_ADMIN
// there.
Result<UniqueFd> proc_of_our_own();

// Carries out the connects of unix sockets that the host was asked for and passes on
// (MessageType::connect_unix): to sockets that were bound inside and to those that are allowed, and to no
// others.
class UnixConnectBroker {
 public:
  // `requests`: our end of the socket that the host's are written to. `listener`: a copy of the seccomp
  // listener.
  UnixConnectBroker(UnixConnectRules rules, UniqueFd requests, UniqueFd listener)
      : rules_(std::move(rules)), requests_(std::move(requests)), listener_(std::move(listener)) {}

  int requests() const { return requests_.get(); }  // readable when there is one to serve
  int listener() const { return listener_.get(); }
  int proc() const { return rules_.proc.get(); }
  // Takes a request; a child of ours does the rest. False when nobody can send one any more.
  bool serve();
  // A child of ours, or of somebody else's, has ended.
  void ended(pid_t child);

 private:
  UnixConnectRules rules_;
  UniqueFd requests_, listener_;
  std::map<pid_t, std::uint64_t> calls_;  // by the child that works on it
};

}  // namespace nsrun
