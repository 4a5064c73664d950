#pragma once

#include <string>
#include <vector>

#include "container/closed/file_identity.h"
#include "container/device/netlink.h"

namespace nsrun {

// Tells about the unix sockets of one network namespace: that in which it is opened.
class UnixSockets {
 public:
  static Result<UnixSockets> open();

  // The paths that sockets are bound to, whatever mount namespace they were bound in: some lead nowhere here,
  // or to something else; those that do not begin with "/" were bound relative to some directory.
  Result<std::vector<std::string>> paths() const;
  // Whether a socket is bound to this file. Only the lower half of the inode's number is compared, as
  // sock_diag tells no more.
  Result<bool> has(const FileIdentity& file) const;
  std::uint64_t network() const { return network_; }  // which it is, as SO_NETNS_COOKIE names it

 private:
  explicit UnixSockets(NetlinkSocket socket);
  Result<void> ask(unsigned show, int (*take)(nl_msg*, void*), void* into) const;

  NetlinkSocket socket_;
  std::uint64_t network_ = 0;
};

}  // namespace nsrun
