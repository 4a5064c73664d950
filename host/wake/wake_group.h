#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>

#include "host/wake/backend.h"
#include "host/wake/departures.h"
#include "host/wake/idle_clock.h"
#include "host/wake/wake_states.h"
#include "runtime/flow_record.h"

namespace nsrun {

// What wakes and sleeps together, and those who wait for it. On one loop.
class WakeGroup {
 public:
  enum class Unit : std::uint8_t { bytes, packets };
  struct Options {
    std::string name;
    Clock::duration idle = 300s;        // unused for so long it is stopped; 0: never
    Clock::duration start_limit = 60s;  // then who waits is turned away
    // What counts as use beside asking: so much traffic within `idle`, both ways, and open connections.
    bool by_traffic = true, by_connections = false;
    Unit unit = Unit::bytes;
    std::uint64_t least = 1;
  };
  using Say = std::function<void(const std::string&)>;

  // `flows`: all those to this group, and no others. All outlive the group, and the group its flows.
  WakeGroup(Executor executor, Backend& backend, LiveFlows& flows, Options options, Say say);

  // Does everything; until cancelled. Then who waits is turned away.
  Task<> run();
  // Once that has ended: what would not outlive us is stopped.
  Task<> end() { return backend_.end(); }

  // Waits until it runs. `asker`: the kernel socket of who asks, or -1; once they have left this is an error.
  Task<Result<void>> awake(int asker);
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
  enum class Doing : std::uint8_t { look, start, stop, wait };
  void trouble(Doing doing, const Error& error);
  void is_well(Doing doing);
  void look_soon();
  void cut_datagrams();
  bool is_used_asleep();
  void count_traffic();
  bool is_watched_for_use() const;
  bool is_unused();
  Clock::time_point next_turn() const;
  Task<> rest();

  const Executor executor_;
  Backend& backend_;
  LiveFlows& flows_;
  const Options options_;
  const Say say_;

  WakeState state_ = WakeState::idle, told_ = WakeState::idle;
  bool ended_ = false;
  std::list<Held*> held_;
  Departures departures_;
  IdleClock idle_clock_;
  Counters counted_;  // traffic, as the clock knows it
  bool partly_runs_ = false;
  Clock::time_point running_since_{}, failed_at_{}, not_before_{}, looked_at_{}, next_look_{};
  Clock::time_point wanted_look_ = Clock::time_point::max();  // by an event, or who was refused
  Clock::duration back_off_{}, look_back_off_{};
  // The last trouble with each, and since when there is none any more.
  struct Said {
    std::string what;
    std::optional<Clock::time_point> well_since;
  };
  std::map<Doing, Said> said_;
  Signal changed_;
  Timer looked_;  // never expires; cancelled after each look
  std::uint64_t looks_begun_ = 0, looks_done_ = 0;
};

}  // namespace nsrun
