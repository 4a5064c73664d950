#pragma once

#include <unordered_map>

#include "host/sandbox/inject/guest_socket.h"
#include "host/sandbox/inject/guest_unix_sockets.h"
#include "host/sandbox/inject/moved_flows.h"
#include "runtime/connection.h"
#include "runtime/handshake.h"
#include "runtime/network.h"

namespace nsrun {

class InjectedRequest;

// Counts one of something for as long as it lives.
class CountGuard {
 public:
  CountGuard(std::size_t& count, Signal& fell) : count_(&count), fell_(&fell) { ++count; }
  CountGuard(CountGuard&& other) noexcept
      : count_(std::exchange(other.count_, nullptr)), fell_(other.fell_) {}
  CountGuard& operator=(CountGuard&&) = delete;
  ~CountGuard() {
    if (!count_) return;
    --*count_;
    fell_->raise();
  }

 private:
  std::size_t* count_;
  Signal* fell_;
};

// Answers the command's connects: with sockets of the host's where that can be done, else as the kernel
// would. On a loop of its own (injector_thread.h).
class Injector {
 public:
  struct Options {
    NetworkOptions network;
    pid_t agent = 0;     // the sandbox's first process
    MovedFlows& moved;   // where connects go on that are moved to the device
    Presence& presence;  // of the thread that runs the loop
  };
  // `accelerate` is the child's message. Requests go to `sink`; tasks live in `tasks`. All outlive the
  // injector, and it outlives the tasks and the requests.
  static Result<std::unique_ptr<Injector>> start(Message accelerate, Options options, Scope& tasks,
                                                 RequestSink sink);
  ~Injector();

  // A SYN came out of the device that was expected there.
  void arrived(const FlowKey& key, MovedRequest syn);

 private:
  friend class InjectedRequest;
  friend class InjectedConnection;
  // What is left to do about a call once it has been looked at.
  struct Looked {
    enum class Next { nothing, ask, see_through };
    Next next = Next::nothing;
    GuestConnect connect = {};
  };
  Injector(SeccompListener listener, Options options, Scope& tasks, RequestSink sink);

  Task<> run();
  void handle(const TrappedCall& call);
  Looked look(const TrappedCall& call);
  void answer_unseen(const TrappedCall& call, int error);
  Looked look_at_other(GuestConnect connect, const SocketFacts& facts);
  Looked look_at_connect(GuestConnect connect, const SocketFacts& facts);
  int listen_for(const TrappedCall& call, int socket, const SocketFacts& facts) const;
  int bind_for(const GuestConnect& bind, const SocketFacts& facts) const;
  int refuse_own(const GuestConnect& connect) const;
  bool resume(GuestConnect& connect);
  bool can_be_replaced(const GuestConnect& connect, const SocketFacts& facts) const;
  bool goes_to_device(const Endpoint& target) const;
  void ask(GuestConnect connect);
  Task<> attend(std::shared_ptr<Signal> ended, std::uint64_t inode, std::optional<Clock::duration> limit);
  Looked perform(GuestConnect connect);
  Task<> see_through(GuestConnect connect, CountGuard open);
  Task<> go_through_device(GuestConnect connect, FlowKey key, bool call_ends, CountGuard open);
  bool let_signal_through(const GuestConnect& connect);
  bool inject(GuestConnect& connect, UniqueFd far);

  CountGuard open_call() { return {open_, room_}; }
  CountGuard unattended_dial() { return {unattended_, room_}; }
  Executor executor() const { return tasks_.executor(); }

  SeccompListener listener_;
  const Options options_;
  GuestUnixSockets doors_;
  bool injects_ = true;  // false: connects are answered here only because the sandbox is closed
  Scope& tasks_;
  RequestSink sink_;
  UniqueFd probe4_, probe6_;     // UDP sockets of the guest's namespace: they tell how it would route
  std::uint64_t own_network_;    // the namespace that injected sockets live in
  std::uint64_t guest_network_;  // the sandbox's
  std::size_t open_ = 0;         // calls being worked on
  std::size_t unattended_ = 0;   // dials whose call has been answered, or nobody waits for
  Signal room_;                  // one of them fell
  std::unordered_map<std::uint64_t, InjectedRequest*> asked_;  // by the guest socket's inode
  std::unordered_map<FlowKey, InjectedRequest*> expected_;     // moved to the device: whose SYN is to come
};

}  // namespace nsrun
