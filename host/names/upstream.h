#pragma once

#include <optional>

#include "host/flow/dialer.h"
#include "host/names/dns_message.h"
#include "host/names/fair_semaphore.h"
#include "host/names/resolvers.h"
#include "host/names/server_health.h"

namespace nsrun {

// Asks the host's resolvers, on behalf of the guest.
class Upstream {
 public:
  // Queries under way at once, each with a socket for every server that it is asked of; further ones wait.
  // Below the 1,024 descriptors a process has by default, with room for the guest's other flows.
  static constexpr std::size_t max_outstanding = 256;
  // Past so many queries that wait, a query fails at once; so does one that has waited so long, since by then
  // its asker has given up.
  static constexpr std::size_t max_waiting = 4096;
  static constexpr auto max_wait = 10s;

  // Both outlive this. A link-local server's target has address and zone as its name: "fe80::1%eth0".
  Upstream(Executor executor, Resolvers& resolvers, Dialer& dialer)
      : resolvers_(resolvers), dialer_(dialer), places_(executor, max_outstanding, max_waiting) {}

  // The first good answer to `message`, under the id it came with; else the last answer that is truncated or
  // reports a failure; nothing when no server answered. `query` is what `message` says; both outlive the
  // call. Askers whose queries wait get their turns one after another.
  Task<std::optional<DnsBytes>> ask(Bytes message, const DnsQuery& query, Transport transport,
                                    FairSemaphore::Asker asker);

 private:
  struct Question;
  struct Asked;
  std::vector<Asked> servers_for(const Question& question);
  Task<std::optional<DnsBytes>> ask_round(Question& question);
  Task<std::optional<DnsBytes>> ask_server(Question& question, Asked& asked);
  Task<std::optional<DnsBytes>> exchange(const Question& question, const Target& target);

  Resolvers& resolvers_;
  Dialer& dialer_;
  ServerHealth health_;
  FairSemaphore places_;
};

}  // namespace nsrun
