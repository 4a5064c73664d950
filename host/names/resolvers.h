#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/names/watched_file.h"
#include "runtime/address.h"
#include "runtime/task.h"

namespace nsrun {

struct ResolverAddress : Endpoint {
  ResolverAddress(const Endpoint& endpoint, std::string interface = {})
      : Endpoint(endpoint), zone(std::move(interface)) {}
  std::string zone;  // of a link-local address: the interface's name or number (RFC 4007 11)
};

// Which name servers to ask, how patiently, and for which names. The defaults are resolv.conf(5)'s.
struct ResolverConfig {
  std::vector<ResolverAddress> servers;  // asked in this order
  Clock::duration timeout = 5s;          // for one server's answer
  int attempts = 2;                      // rounds over all servers
  // For names that this machine looks up for itself; the guest's C library has its own.
  std::vector<std::string> search = {};  // domains to try a name in
  int ndots = 1;                         // a name with fewer dots is tried in those first
};

// resolv.conf(5): the first three usable nameserver lines (127.0.0.1 when there is none) and the options
// timeout, attempts and ndots, and the last search or domain line. Everything else is ignored.
ResolverConfig parse_resolv_conf(std::string_view text);

// The host's resolvers, as they are now.
class Resolvers {
 public:
  explicit Resolvers(std::string path = "/etc/resolv.conf");
  // These, whatever the host uses.
  explicit Resolvers(ResolverConfig fixed) : config_(std::move(fixed)) {}

  // Follows changes of the file: one stat(2) a call, a read when it differs. A file that can no longer be
  // read leaves the last configuration in force. The reference lives until the next call.
  const ResolverConfig& current();

 private:
  std::optional<WatchedFile> file_;  // nothing: fixed
  ResolverConfig config_ = parse_resolv_conf({});
};

}  // namespace nsrun
