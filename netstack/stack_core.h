#pragma once

#include <boost/unordered/unordered_flat_set.hpp>
#include <memory>
#include <optional>
#include <vector>

#include "netstack/datagrams/reassembly.h"
#include "netstack/flow_table.h"
#include "netstack/idle_spin.h"
#include "netstack/poller.h"
#include "netstack/stack.h"
#include "netstack/stack_group.h"
#include "netstack/tcp/lwip_tcp.h"
#include "netstack/tcp/tcp_output.h"
#include "runtime/connection.h"
#include "runtime/route_watch.h"
#include "runtime/task.h"

namespace nsrun {

class TcpConversation;
class DatagramConversation;

// The order of work, for one wake-up:
//
//   sockets that are ready ─► touch their flows
//   up to 8 packets from the device ─► each to its flow, or a new one ─► touch
//   every touched flow, once ─► to the world, to the guest, one ACK
//   removed flows go
//   a look whether there is more, for as long as that pays; then sleep
//
// Flows are found in O(1); a flow that is idle costs nothing in any of these. Acknowledgements that no data
// carried go out within a few milliseconds; lwIP's slow timer runs only over flows that wait for something.
class StackCore final : private Pollable {
 private:
  const StackOptions options_;
  MemoryBudget own_budget_;  // where the options name no memory: it refuses nothing
  MemoryShare own_memory_;
  MemoryShare& memory_;
  BufferPool buffers_;  // outlives all that holds buffers

 public:
  StackCore(asio::io_context& context, Device& device, const StackOptions& options, RequestSink sink,
            Events& events);
  ~StackCore();

  Task<> run();        // batches, until cancelled or the device is gone
  Task<> run_clock();  // timers, until cancelled

  // ---- for conversations
  Device& device() { return device_; }
  BufferPool& buffers() { return buffers_; }
  MemoryShare& memory() { return memory_; }
  Poller& poller() { return poller_; }
  LwipClock& clock() { return clock_; }
  TcpOutput& tcp_output() { return tcp_output_; }
  Executor executor() { return context_.get_executor(); }
  RouteWatch& routes() { return routes_; }
  Clock::time_point now() const { return now_; }  // of this batch
  const StackOptions& options() const { return options_; }
  Events& events() { return events_; }
  const IpAddress& router_for(const IpAddress& source) const;  // our own hop, in the source's family
  void answer_refusal(Refusal how, const Packet& packet);

  void touch(Conversation& conversation);   // turn() at the end of this batch; one is begun if need be
  void remove(Conversation& conversation);  // deleted after this batch
  void owe_ack(Conversation& conversation);
  void watch_timers(TcpConversation& conversation);
  void watch_idle(DatagramConversation& conversation);
  void forget_idle(DatagramConversation& conversation);
  void replace(Conversation& old, std::unique_ptr<Conversation> fresh);  // under the same key
  Conversation* find(const FlowKey& key);
  bool has(const FlowKey& key);  // here, or in another stack of the sandbox
  // A flow that we open needs the key: one that is over, or that yields, goes. False: it is taken.
  bool make_way(const FlowKey& key);
  void insert(std::unique_ptr<Conversation> conversation);
  void expect(const FlowKey& key);
  void expect_no_more(const FlowKey& key);
  std::size_t size() const { return flows_.size() + aside_.size(); }
  std::size_t unfinished();
  // Whether there is memory for one more flow; if not, and for the first time, it is said.
  bool may_begin();
  // A flow did not get the least it needs: those that are stuck give way, the newest first.
  void lacks_memory() { lacks_memory_ = true; }
  std::uint64_t next_number() { return ++last_number_; }

  // Bytes waiting in all flows. Past options().ample_bytes a flow may hold only `share` bytes each way.
  static constexpr std::size_t share = 64 << 10;
  std::size_t to_world_bytes = 0, to_guest_bytes = 0;
  BufferPtr spare_block;                   // the next block to the guest, for whichever flow fills it first
  std::vector<std::byte> small_datagrams;  // of this batch, on their way to sockets
  std::size_t held_requests = 0;           // SYNs and first datagrams nobody has answered yet

 private:
  void ready(std::uint32_t) override { device_ready_ = true; }
  // Wakes with the packets that other stacks passed on.
  struct Strays final : Pollable {
    explicit Strays(StackCore& stack) : core(stack), queue(stack.memory_.budget()) {}
    void ready(std::uint32_t) override { core.read_strays(); }
    StackCore& core;
    StrayQueue queue;
  };

  bool is_idle() const { return touched_.empty() && !device_ready_; }
  Task<bool> sleep();  // false: cancelled
  bool look_on();      // whether there is something to do
  void turn();
  void wake();
  void read_strays();
  void yield_flow(const FlowKey& key);
  bool pass_to_flow(const FlowKey& key, const Packet& packet, const Offload& offload, BufferPtr& buffer);
  void watch(int fd, Pollable& pollable);
  void read_packets();
  void deliver(MutableBytes bytes, const Offload& offload, BufferPtr& buffer);
  void deliver_flow(const Packet& packet, const Offload& offload, BufferPtr& buffer);
  void begin_flow(const FlowKey& key, const Packet& packet, const Offload& offload, BufferPtr& buffer);
  void flush();
  void bury();
  void run_tcp_timers();
  void watch_buffers();
  void trim_buffers();
  LwipFlow* flow_of_segment(const pbuf& packet);
  void end_idle_flows();
  void send_late_acks();
  void set_aside(Conversation& conversation);  // its key is wanted again, while its far end goes on
  void end_oldest_datagrams(bool has_room);
  void give_up_stuck_flows();
  bool answer_own_echo(const FlowKey& key, const Packet& packet);
  void due_within(Clock::time_point& due, Clock::duration delay);

  asio::io_context& context_;
  Device& device_;
  const RequestSink sink_;
  Events& events_;
  RouteWatch& routes_;
  LwipClock clock_;
  TcpOutput tcp_output_;
  IdleSpin spin_;
  std::optional<Strays> strays_;  // where there is a group
  Poller poller_;
  Descriptor poller_descriptor_;
  Timer timer_;
  Reassembly reassembly_;

  FlowTable flows_;
  boost::unordered_flat_set<FlowKey, std::hash<FlowKey>> expected_;  // where there is a group
  std::vector<std::unique_ptr<Conversation>> removed_, aside_;
  BufferPtr last_resort_;  // packets are read into it when no other buffer is to be had
  std::vector<Conversation*> touched_, touched_now_, owing_;
  std::vector<TcpConversation*> timed_;
  DatagramConversation* idle_first_ = nullptr;  // least recently used first
  DatagramConversation* idle_last_ = nullptr;
  std::size_t datagram_flows_ = 0;
  Clock::time_point now_ = Clock::now();  // of this batch
  std::uint64_t last_number_ = 0;
  Clock::time_point give_up_next_{};
  std::size_t max_charged_ = 0;  // bytes, since memory last went back to the system
  bool lacks_memory_ = false;
  bool device_ready_ = false, device_closed_ = false, sleeping_ = false;
  Clock::time_point acks_due_ = Clock::time_point::max(), tcp_due_ = Clock::time_point::max(),
                    idle_due_ = Clock::time_point::max(), trim_due_ = Clock::time_point::max();
};

}  // namespace nsrun
