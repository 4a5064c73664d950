#pragma once

#include <string>
#include <vector>

#include "host/names/hosts_file.h"
#include "host/names/name_sources.h"
#include "host/names/resolvers.h"
#include "host/names/upstream.h"

namespace nsrun {

// Looks names up for this machine, as its programs do: host_resolver.cc says what of the system's settings is
// honoured. Lookups run beside each other and end when they are cancelled.
class HostResolver {
 public:
  struct Files {
    std::string resolv_conf = "/etc/resolv.conf", hosts = "/etc/hosts", nsswitch = "/etc/nsswitch.conf";
  };
  // How long the other family's answer is waited for, once a name has addresses of one.
  static constexpr auto laggard_limit = 1s;

  // `servers`: how to reach the name servers. It outlives this, and this its lookups.
  HostResolver(Executor executor, Dialer& servers, Files files);
  HostResolver(Executor executor, Dialer& servers) : HostResolver(executor, servers, Files()) {}

  // The name's addresses, never none. A name that ends with a dot is not searched for in other domains.
  // Errors have EHOSTUNREACH.
  Task<Result<std::vector<IpAddress>>> resolve(std::string name);

 private:
  enum class Outcome { found, absent, failed, silent };
  struct Answer {
    Outcome outcome = Outcome::silent;
    std::vector<IpAddress> addresses = {};
  };
  Task<Answer> ask_dns(std::string name, bool rooted);
  Task<Answer> ask_name(std::string name);
  Task<> ask_type(const std::string& name, DnsType type, Answer& answer, Signal& found);
  Task<Answer> look_up(std::string name, bool rooted);

  Executor executor_;
  Resolvers resolvers_;
  HostsFile hosts_;
  WatchedFile nsswitch_;
  std::vector<NameSource> sources_ = parse_nsswitch({});
  Upstream upstream_;
};

}  // namespace nsrun
