#pragma once

#include <list>
#include <string>

#include "host/services/wake/backend.h"
#include "host/services/wake/group_activity.h"
#include "host/services/wake/peer_close_watcher.h"
#include "host/services/wake/wake_log.h"
#include "host/services/wake/wake_states.h"
#include "host/services/wake/wake_threshold.h"

namespace nsrun {

// What wakes and sleeps together, and those who wait for it. On one loop.
class WakeGroup {
 public:
  using Unit = WakeGroupOptions::Unit;
  using Options = WakeGroupOptions;

  // The backend outlives the group.
  WakeGroup(Executor executor, Backend& backend, Options options, WakeSay say);

  // Flows that lead here. They outlive the group's run().
  void add_flows(LiveFlows& flows) { use_.add(flows); }

  // Does everything; until cancelled. Then who waits is turned away.
  Task<> run();
  // Once that has ended: what would not outlive us is stopped.
  Task<> end() { return backend_.end(); }

  // Waits until it runs. `asker`: the client's kernel socket, or -1; an error once the client has left.
  // `packets`: how many packets from clients the call counts as.
  Task<Result<void>> awake(int asker, std::uint64_t packets = 1);
  // A datagram from a client.
  void datagram_arrived();
  // Waits until it was looked at anew.
  Task<> look_again();
  // It began to run so lately that it may not listen yet.
  bool is_fresh() const;

  WakeState state() const { return state_; }
  const Options& options() const { return options_; }

 private:
  struct Held;
  class Farewell;

  Task<> work();
  Task<> turn();
  Task<> look();
  Task<> take(WakeInput input);
  Task<std::optional<WakeInput>> act(WakeAction action);
  Task<Result<void>> wait_held(Held& held);
  void enter(WakeState next);
  void tell(WakeState next);
  void release(const std::optional<Error>& why_not);
  void note_seen(Backend::Status seen);
  void look_soon();
  bool is_look_due();
  void count_calls();
  bool is_wanted() const;
  bool is_spoken_to_asleep() const;
  Error not_ready_in_time();
  bool is_watched_for_use() const;
  bool is_unused();
  Clock::time_point next_turn() const;
  Task<> rest();

  const Executor executor_;
  Backend& backend_;
  const Options options_;
  const WakeSay say_;

  WakeState state_ = WakeState::idle, told_ = WakeState::idle;
  bool ended_ = false;
  std::list<Held*> held_;
  PeerCloseWatcher close_watcher_;
  GroupActivity use_;
  WakeThreshold calls_;
  std::uint64_t new_calls_ = 0;                   // packets from clients that calls_ does not know yet
  Backend::Status seen_ = Backend::Status::idle;  // last
  Clock::time_point running_since_{}, failed_at_{}, not_before_{}, looked_at_{}, next_look_{};
  Clock::time_point wanted_look_ = Clock::time_point::max();  // by an event, or who was refused
  Clock::duration back_off_{}, look_back_off_{}, event_pause_{};
  WakeErrorLog troubles_;
  Signal changed_;
  Timer looked_;  // never expires; cancelled after each look
  std::uint64_t looks_begun_ = 0, looks_done_ = 0;
};

}  // namespace nsrun
