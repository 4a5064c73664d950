#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "runtime/address.h"
#include "runtime/bytes.h"
#include "runtime/flow_record.h"
#include "runtime/memory_budget.h"
#include "runtime/task.h"

namespace nsrun {

// One outside port for each UDP socket of the guest, whatever it sends to (RFC 4787: endpoint-independent
// mapping), and answers from other ports of the addresses that it sends to (address-dependent filtering).
//
//   guest's port ─┬─ flow to A:69 ── socket connected to A:69 ───┐
//                 ├─ flow to B:53 ── socket connected to B:53 ───┤ one port outside (SO_REUSEPORT)
//                 └─ mapping ─────── socket without a peer ──────┘
//
// The kernel gives a datagram to the connected socket that it fits, and everything else to the socket without
// a peer. So flows keep sockets of their own, with their fast path, errors and buffers. Of what remains, the
// mapping passes on what comes from an address to which the guest has a flow; all else is dropped.
class UdpMappings {
 public:
  static constexpr std::size_t max_mappings = 4096;  // past it further sockets have a port for each flow
  static constexpr std::size_t max_flows = 256;      // at one port; the kernel searches them one by one
  static constexpr int max_new_peers = 64;           // of one mapping between two checks
  static constexpr auto check_interval = 30s;        // then mappings without flows go

  // A datagram from a port to which the guest has not sent.
  struct Unasked {
    FlowKey key;       // of the flow that it belongs to: target is its sender as the guest would address it
    Endpoint from;     // its sender outside
    FlowRecord* flow;  // the live flow to that very sender; null: there is none yet
    Bytes datagram;    // until the call returns
  };
  using Heard = std::function<void(const Unasked&)>;

  // `tasks` and `flows` are of the executor's loop and outlive the mappings; `flows` has the guest's flows.
  // `memory`: charged for mappings; null: nothing is.
  UdpMappings(Executor executor, Scope& tasks, LiveFlows& flows, Heard heard, MemoryShare* memory = nullptr);
  UdpMappings(const UdpMappings&) = delete;

  // Connects a new UDP socket for the guest's socket at `source`. 0, or an errno.
  int connect(int socket, const Endpoint& source, const Endpoint& peer);
  // Drops the mappings that have no flows any more.
  void check();
  std::size_t size() const { return mappings_.size(); }

 private:
  struct Mapping;
  using Key = std::pair<Endpoint, bool>;  // the guest's socket; whether outside is IPv6

  bool join(Mapping& mapping, int socket, const Endpoint& peer);
  void begin(const Key& key, int socket, const Endpoint& peer);
  std::size_t flows_to(const Endpoint& source, const Endpoint& peer);
  Task<> listen(std::shared_ptr<Mapping> mapping);
  bool take_one(Mapping& mapping);
  void hear(Mapping& mapping, const Endpoint& from, Bytes datagram);
  Task<> check_now_and_then();

  Executor executor_;
  Scope& tasks_;
  LiveFlows& flows_;
  const Heard heard_;
  MemoryShare* const memory_;
  std::vector<std::byte> room_;  // for the datagram that is passed on; all mappings share it
  std::map<Key, std::shared_ptr<Mapping>> mappings_;
  bool checking_ = false;
};

}  // namespace nsrun
