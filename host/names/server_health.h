#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "runtime/flow.h"
#include "runtime/task.h"

namespace nsrun {

// Which name servers were silent lately, by server and protocol. A silent server is asked after the others
// for a while, and then gets another chance.
class ServerHealth {
 public:
  static constexpr auto retry_after = 30s;
  // How long a server has before the next one is asked, too: usually, and when it gets another chance.
  static constexpr Clock::duration patience = 1s, patience_at_retry = 250ms;

  struct Choice {
    Target server;
    Clock::duration patience;
  };
  // The servers in the order in which to ask them. Of the queries after retry_after one retries the server.
  // `timeout`: patience is not longer.
  std::vector<Choice> order(std::vector<Target> servers, Clock::duration timeout,
                            Clock::time_point now = Clock::now());
  void answered(const Target& server) { silent_.erase(key(server)); }
  void was_silent(const Target& server, Clock::time_point now = Clock::now());

 private:
  using Key = std::tuple<Protocol, Endpoint, std::string>;
  static Key key(const Target& server) { return {server.protocol, server.endpoint, server.name}; }

  std::map<Key, Clock::time_point> silent_;  // until when the server is asked last
};

}  // namespace nsrun
