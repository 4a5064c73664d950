#pragma once

#include <memory>

#include "netstack/devices/device.h"
#include "netstack/idle_spin.h"
#include "runtime/connection.h"
#include "runtime/memory_budget.h"
#include "runtime/network.h"
#include "runtime/task.h"

namespace nsrun {

class StackCore;
class StackGroup;

struct StackOptions {
  NetworkOptions network;
  Clock::duration udp_idle = 60s;           // then a UDP or echo conversation ends
  std::size_t max_pending_syns = 4096;      // requests waiting for an answer; past it new ones are dropped
  std::size_t max_tcp_flows = 65'536;       // connections; past it new ones are dropped
  std::size_t max_datagram_flows = 16'384;  // past it the least recently used one ends
  std::size_t max_buffers = 4096;           // of 64 KiB, packets and bytes on their way
  // Bytes waiting in all flows, each way: past it a flow may hold only 64 KiB.
  std::size_t ample_bytes = 256 << 20;
  // That the guest may send ahead on a connection, at most TCP_WND. On a device that loses packets not more
  // than TCP_OOSEQ_MAX_BYTES: what comes after a gap is lost past it.
  std::size_t window = 4 << 20;  // bytes
  Latency latency = Latency::automatic;
  StackGroup* group = nullptr;  // the other stacks of this sandbox; outlives this one. Null: there are none
  // Charged for all that the guest makes the stack hold; outlives the stack. Null: the limits above are all.
  MemoryShare* memory = nullptr;

  // The limits are a sandbox's: what one of `stacks` gets.
  StackOptions share_of(std::size_t stacks) const;
};

// The guest's network, terminated: packets of a device on one side, requests and connections on the other.
// TCP, UDP and ICMP echo, IPv4 and IPv6, to any destination; nothing is decided here about who may go where.
// Several stacks may live in one process, each on one thread; those of one sandbox form a group.
class Stack {
 public:
  // `device` and `events` outlive the stack. Each new flow of the guest is given to `sink`.
  Stack(asio::io_context& context, Device& device, const StackOptions& options, RequestSink sink,
        Events& events);
  ~Stack();  // run() must have ended; every flow ends with the stack, connections to it break

  // Moves packets until cancelled, or until the device is gone.
  Task<> run();

  // Opens a connection to the guest that bears `source` as its source address: TCP (waits for the guest's
  // answer; ECONNREFUSED, ETIMEDOUT) or UDP (at once).
  Task<Result<std::unique_ptr<Connection>>> connect(Protocol protocol, Endpoint source, Endpoint guest);

  // A UDP flow that the guest has not begun: `first`, from key.target to the guest at key.source. Null: there
  // is such a flow already, or no memory for it.
  std::unique_ptr<Connection> answer(const FlowKey& key, Bytes first);
  // A datagram to the guest on a UDP flow that is here. False: it is not.
  bool deliver(const FlowKey& key, Bytes datagram);

  // Nothing goes between these endpoints, in this stack or another of the sandbox.
  bool is_free(const FlowKey& key) const;

  // The guest is about to begin this TCP flow: its SYN comes to this stack, whichever queue it takes; until
  // it has come, or nobody waits for it any more.
  void expect(const FlowKey& key);
  void expect_no_more(const FlowKey& key);

  std::size_t flows() const;  // alive now
  // Takes all packets that wait at the device, and counts the flows with something of the guest's that is
  // still to be passed on: bytes, or the word that there are no more.
  std::size_t unfinished();

 private:
  std::unique_ptr<StackCore> core_;
};

}  // namespace nsrun
