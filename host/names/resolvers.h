#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/address.h"
#include "runtime/task.h"

namespace nsrun {

// Which name servers to ask, and how patiently. The defaults are resolv.conf(5)'s.
struct ResolverConfig {
  std::vector<Endpoint> servers;  // asked in this order
  Clock::duration timeout = 5s;   // for one server's answer
  int attempts = 2;               // rounds over all servers
};

// resolv.conf(5): the first three usable nameserver lines (127.0.0.1 when there is none) and the options
// timeout and attempts. Everything else is ignored: search lists and ndots are the guest's own affair.
ResolverConfig parse_resolv_conf(std::string_view text);

// The host's resolvers, as they are now.
class Resolvers {
 public:
  explicit Resolvers(std::string path = "/etc/resolv.conf") : path_(std::move(path)) {}
  // These, whatever the host uses.
  explicit Resolvers(ResolverConfig fixed) : config_(std::move(fixed)) {}

  // Follows changes of the file: one stat(2) a call, a read when it differs. A file that can no longer be
  // read leaves the last configuration in force. The reference lives until the next call.
  const ResolverConfig& current();

 private:
  // What tells one version of a file from another.
  struct Version {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    std::int64_t seconds = 0, nanoseconds = 0;  // of its last modification
    bool operator==(const Version&) const = default;
  };
  std::optional<Version> version() const;

  std::string path_;  // empty: fixed
  std::optional<Version> read_;
  ResolverConfig config_ = parse_resolv_conf({});
};

}  // namespace nsrun
