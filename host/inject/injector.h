#pragma once

#include <deque>
#include <unordered_map>

#include "host/inject/guest_socket.h"
#include "netstack/stack.h"
#include "runtime/connection.h"
#include "runtime/handshake.h"
#include "runtime/network.h"

namespace nsrun {

class InjectedRequest;

// Counts calls that are being worked on, each for as long as it lives.
class OpenCall {
 public:
  OpenCall(std::size_t& open, Signal& room) : open_(&open), room_(&room) { ++open; }
  OpenCall(OpenCall&& other) noexcept : open_(std::exchange(other.open_, nullptr)), room_(other.room_) {}
  OpenCall& operator=(OpenCall&&) = delete;
  ~OpenCall() {
    if (!open_) return;
    --*open_;
    room_->raise();
  }

 private:
  std::size_t* open_;
  Signal* room_;
};

// Answers the command's connects: with sockets of the host's where that can be done, else as the kernel
// would.
class Injector {
 public:
  struct Options {
    NetworkOptions network;
    pid_t agent = 0;  // the sandbox's first process
    Stack& stack;     // that the device's requests come from; outlives the injector
  };
  // `accelerate` is the child's message. Requests go to `sink`; tasks live in `tasks`. All outlive the
  // injector, and it outlives the tasks and the requests.
  static Result<std::unique_ptr<Injector>> start(Message accelerate, Options options, Scope& tasks,
                                                 RequestSink sink);
  ~Injector();

  // Stands in front of the sink of the stack's: takes a request that continues one of ours.
  bool claim(std::unique_ptr<Request>& request);

 private:
  static constexpr auto longest_way = 1s;  // of a SYN through the device; then the flow goes without

  friend class InjectedRequest;
  friend class InjectedConnection;
  Injector(SeccompListener listener, Options options, Scope& tasks, RequestSink sink);

  Task<> run();
  void handle(const TrappedCall& call);
  void handle_connect(const TrappedCall& call, UniqueFd socket);
  int listen_for(const TrappedCall& call, int socket) const;
  void handle_inet(GuestConnect connect, const SocketFacts& facts);
  int refuse_own(const GuestConnect& connect);
  bool resume(GuestConnect& connect);
  bool can_be_replaced(const GuestConnect& connect, const SocketFacts& facts);
  bool goes_to_device(const Endpoint& target);
  void ask(GuestConnect connect);
  Task<> move_later(std::shared_ptr<Signal> ended, std::uint64_t inode, Clock::duration patience);
  void perform(GuestConnect connect);
  Task<> see_through(GuestConnect connect, OpenCall open);
  bool inject(GuestConnect& connect, int far);
  void decide(const FlowKey& moved, Refusal how);
  bool refuse_decided(Request& request);

  OpenCall open_call() { return {open_, room_}; }
  Executor executor() const { return tasks_.executor(); }

  SeccompListener listener_;
  const Options options_;
  Scope& tasks_;
  RequestSink sink_;
  UniqueFd probe4_, probe6_;     // UDP sockets of the guest's namespace: they tell how it would route
  std::uint64_t own_network_;    // the namespace that injected sockets live in
  std::uint64_t guest_network_;  // the sandbox's
  std::size_t open_ = 0;         // calls being worked on
  Signal room_;                  // open_ fell
  std::unordered_map<std::uint64_t, InjectedRequest*> asked_;  // by the guest socket's inode
  std::unordered_map<FlowKey, InjectedRequest*> expected_;     // moved to the device: whose SYN is to come
  struct Decided {
    FlowKey key;
    Refusal how;
    Clock::time_point until;
  };
  std::deque<Decided> decided_;        // likewise, refused before it came
  std::deque<std::uint64_t> unheard_;  // injected, but a signal came before the caller heard of it
};

}  // namespace nsrun
