#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "host/flow/dialer.h"
#include "host/flow/recent_names.h"
#include "host/names/dns_conversation.h"
#include "host/names/name_policy.h"
#include "host/names/resolvers.h"
#include "host/names/synthetic_names.h"
#include "host/names/upstream.h"
#include "runtime/connection.h"
#include "runtime/flow.h"
#include "runtime/memory_budget.h"

namespace nsrun {

// The host's loopback, as the guest calls it: answered with the gateway's addresses, whether or not flows to
// them are let through.
constexpr std::string_view host_name = "host.nsrun.internal";

struct NameServerOptions {
  Resolvers& resolvers;  // whom to ask
  Dialer& dialer;        // how to reach them: no policy in front, they are the host's own servers
  IpAddress gateway4;
  std::optional<IpAddress> gateway6;  // nothing: the guest has no IPv6, and gets no synthetic IPv6 addresses

  // Null: the guest may ask about any name, and is told what the world says.
  NamePolicy* policy = nullptr;
  // Where the policy gives synthetic addresses: answers A, AAAA and the PTR of its addresses in place of the
  // world. Not null where there is a policy.
  SyntheticNames* synthetic = nullptr;
  bool asks_world = true;  // false: what we cannot answer does not exist
  // Hears of a name that the guest asked about, and may. Empty: nobody does.
  std::function<void(const std::string& name)> asked = {};
  // Hears of a name that the guest asked for in this conversation and may not ask about. Empty: nobody does.
  std::function<void(const FlowKey& conversation, const std::string& name)> refused = {};
  // Hears which addresses the world's answers gave for which names. Null: nobody listens.
  RecentNames* recent = nullptr;
  // Charged for conversations and their queries. Null: nothing is.
  MemoryShare* memory = nullptr;
};

// The sandbox's name server.
class NameServer {
 public:
  // Of a pipe to the name server, where one leads there: a datagram of any size passes all the same.
  static constexpr std::size_t pipe_capacity = 4096;  // bytes

  // What the options refer to outlives this; this outlives the tasks of serve.
  NameServer(Executor executor, NameServerOptions options);

  // Answers the queries of one guest connection, datagram or stream, until it ends. `key`: what it is called.
  Task<> serve(std::unique_ptr<Connection> guest, FlowKey key = {});

 private:
  struct Asker {
    const FlowKey key;
    std::string refused;  // the name last refused: one line of a log for A, AAAA and repetitions
  };
  // Both with the faults of the name that is asked for.
  Task<DnsAnswers> answers(Bytes message, Transport transport, Asker& asker);
  std::shared_ptr<Faults> faults_of(const DnsQuery& query) const;
  Task<DnsAnswers> faulty_answers(Bytes message, Transport transport, const DnsQuestion& question,
                                  Faults& faults, Asker& asker);
  // The answer to one message, without faults; nothing for one that deserves none. What is referred to
  // outlives the call.
  Task<std::optional<DnsBytes>> answer(Bytes message, Transport transport, Asker& asker);
  // Replies of our own; nothing: the world is to be asked.
  std::optional<DnsReply> own_reply(const DnsQuestion& question, Asker& asker);
  DnsReply refuse(const DnsQuestion& question, Asker& asker);
  std::optional<DnsReply> synthetic_reply(const DnsQuestion& question, const std::string& name);
  std::optional<DnsReply> pointer_reply(const DnsQuestion& question);
  Task<DnsBytes> forward(Bytes message, const DnsQuery& query, Transport transport, const Asker& asker);

  Executor executor_;
  const NameServerOptions options_;
  Upstream upstream_;
};

}  // namespace nsrun
