#pragma once

#include <optional>

#include "host/dialer.h"
#include "host/names/dns_message.h"
#include "host/names/resolvers.h"

namespace nsrun {

// Asks the host's resolvers, on behalf of the guest.
class Upstream {
 public:
  // Queries, and so sockets, under way at once for one sandbox; past it a query fails at once. Below the
  // 1,024 descriptors a process has by default, with room for the guest's other flows.
  static constexpr std::size_t max_outstanding = 256;

  // Both outlive this.
  Upstream(Resolvers& resolvers, Dialer& dialer) : resolvers_(resolvers), dialer_(dialer) {}

  // The first good answer to `message`, under the id it came with; else the last answer that reports a
  // failure; nothing when no server answered. `query` is what `message` says; both outlive the call.
  Task<std::optional<DnsBytes>> ask(Bytes message, const DnsQuery& query, Transport transport);

 private:
  struct Question;
  Task<std::optional<DnsBytes>> ask_servers(const Question& question);
  Task<std::optional<DnsBytes>> ask_server(const Question& question, const Endpoint& server);
  Task<std::optional<DnsBytes>> exchange(const Question& question, const Target& target);

  Resolvers& resolvers_;
  Dialer& dialer_;
  std::size_t outstanding_ = 0;
};

}  // namespace nsrun
