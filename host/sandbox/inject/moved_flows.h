#pragma once

#include <deque>
#include <functional>
#include <unordered_set>

#include "host/flow/policy.h"
#include "host/sandbox/inject/moved_request.h"
#include "netstack/stack.h"

namespace nsrun {

// Connects that the injector moved to the device, where their SYNs come out: the stack's loop. Lives there;
// what is for the injector's loop says so.
class MovedFlows {
 public:
  using Arrival = std::function<void(const FlowKey& key, MovedRequest syn)>;
  // `flows`: of the stack's loop. All outlive it.
  MovedFlows(asio::io_context& home, Stack& stack, Scope& tasks, LiveFlows& flows, Policy& policy)
      : home_(home), stack_(stack), tasks_(tasks), flows_(flows), policy_(policy) {}

  // Hears of each SYN that was expected.
  void on_arrival(Arrival arrival) { arrival_ = std::move(arrival); }
  // Stands in front of the sink of the stack's: takes the request that a moved connect became.
  bool claim(std::unique_ptr<Request>& request);
  // A flow goes on here. `near`: null when the guest has left.
  void carry(std::unique_ptr<Connection> near, UniqueFd far, std::unique_ptr<FlowRecord> record);

  // ---- for the injector's loop

  Task<> expect(FlowKey key);             // from its end on
  void expect_no_more(FlowKey key);       // unless it was refused
  void refuse(FlowKey key, Refusal how);  // if its SYN still comes
  void settle(std::unique_ptr<Request> syn);
  asio::io_context& home() { return home_; }

 private:
  struct Refused {
    FlowKey key;
    Refusal how;
    Clock::time_point until;
  };
  Task<> note(FlowKey key);
  void forget_oldest();
  bool refuse_if_decided(Request& syn);

  asio::io_context& home_;
  Stack& stack_;
  Scope& tasks_;
  LiveFlows& flows_;
  Policy& policy_;
  Arrival arrival_;
  std::unordered_set<FlowKey> expected_;
  std::deque<Refused> refused_;  // before their SYN came
};

constexpr auto max_way = 1s;  // of a SYN through the device; then the flow goes without

}  // namespace nsrun
