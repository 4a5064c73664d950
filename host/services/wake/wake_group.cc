// One task, run(), makes every change: it looks at the backend, takes what follows from that and from those
// who ask (wake_states.cc has the table), and rests until it is told of something or something is due. Calls
// of the backend are made one after the other.
//
// Who asks while it does not run is held: in a list, each with a time limit and, where the asker's is a
// kernel socket, watched for leaving. Nothing is read from the asker meanwhile. What they send early stays
// where it is, in order, bounded by the socket's receive buffer (for datagrams by the listener's queue), and
// is relayed once the dial has succeeded.
//
// Use is traffic, seen in the counters of the group's flows (GroupActivity): they are looked at a few times a
// second while it runs, or is asleep with connections or calls, and never otherwise, and cost the data path
// nothing.
//
// A start that fails is tried again, later each time, as long as anybody is held.
//
// Each look costs the backend some calls, and events that ask for one may come in thousands a second: as long
// as they do, looks are further and further apart.

#include "host/services/wake/wake_group.h"

#include <sys/ioctl.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include "runtime/cancellation.h"

namespace nsrun {
namespace {

using Doing = WakeErrorLog::Doing;

constexpr auto sample_interval = 250ms;  // of traffic: stopping is at most so much late
constexpr Clock::duration min_event_pause = 50ms, max_event_pause = 1s;  // between looks because of events
constexpr Clock::duration calm_after_failure = 60s;  // without a failed start; then the back-off begins again
constexpr auto first_back_off = 250ms;
constexpr Clock::duration max_back_off = 10s;

Clock::duration longer(Clock::duration back_off) {
  return std::clamp<Clock::duration>(back_off * 2, first_back_off, max_back_off);
}

}  // namespace

// One who waits. The timer's expiry is the limit; it is cancelled once there is an outcome.
struct WakeGroup::Held {
  Held(WakeGroup& to, int socket) : group(to), asker(socket), timer(to.executor_, to.options_.start_limit) {
    place = group.held_.insert(group.held_.end(), this);
    if (asker >= 0)
      group.close_watcher_.watch(asker, [this] {
        end(Error{"who asked has left", errno_code(ECONNABORTED)});
      });
  }
  ~Held() {
    if (asker >= 0) group.close_watcher_.forget(asker);
    group.held_.erase(place);
  }
  void end(Result<void> how) {
    if (!outcome) outcome = std::move(how);
    timer.cancel();
  }
  // Packets' worth of what the client has sent since the last call; it stays in the socket.
  std::uint64_t new_packets() {
    int waiting = 0;
    if (asker < 0 || ::ioctl(asker, FIONREAD, &waiting) < 0) return 0;
    const auto now = packets_of_stream(static_cast<std::uint64_t>(waiting));
    return now > packets ? now - std::exchange(packets, now) : 0;
  }

  WakeGroup& group;
  const int asker;
  Timer timer;
  std::optional<Result<void>> outcome;
  std::uint64_t packets = 0;
  std::list<Held*>::iterator place;
};

// However run() ends, nobody is left waiting for it.
class WakeGroup::Farewell {
 public:
  explicit Farewell(WakeGroup& group) : group_(group) {}
  ~Farewell() {
    group_.ended_ = true;
    group_.release(Error{"nsrun ends", errno_code(ECONNABORTED)});
    group_.looked_.cancel();
  }

 private:
  WakeGroup& group_;
};

WakeGroup::WakeGroup(Executor executor, Backend& backend, Options options, WakeSay say)
    : executor_(executor),
      backend_(backend),
      options_(std::move(options)),
      say_(std::move(say)),
      close_watcher_(executor),
      use_(options_),
      calls_(options_),
      event_pause_(min_event_pause),
      troubles_(options_.name, say_),
      changed_(executor),
      looked_(executor, Clock::time_point::max()) {}

Task<> WakeGroup::run() {
  const Farewell farewell(*this);
  use_.touch(Clock::now());
  const auto beside = [](WakeGroup& group) -> Task<> {
    co_await both(group.close_watcher_.run(), group.backend_.watch([&group] { group.look_soon(); }));
  };
  co_await both(work(), beside(*this));
}

// Whatever goes wrong in a turn, the next one is tried: nobody else looks after the group.
Task<> WakeGroup::work() {
  for (;;) {
    std::optional<Error> failed;
    try {
      co_await turn();
    } catch (const boost::system::system_error& error) {
      if (error.code() == asio::error::operation_aborted) throw;
      failed = Error{"something that runs could not be looked after", error.code()};
    } catch (const std::exception& error) {
      failed = Error{std::string("something that runs could not be looked after: ") + error.what()};
    }
    if (!failed) continue;
    troubles_.trouble(Doing::look, *failed);
    // Whether it still runs is seen next.
    if (state_ == WakeState::stopping) enter(wake_step(state_, WakeInput::stop_failed).next);
    co_await sleep_for(first_back_off);
  }
}

Task<> WakeGroup::turn() {
  co_await look();
  count_calls();
  const bool may_start = state_ == WakeState::idle && Clock::now() >= not_before_;
  if (may_start && (is_wanted() || is_spoken_to_asleep()))
    co_await take(WakeInput::asked);
  else if (is_unused())
    co_await take(WakeInput::unused);
  if (state_ == WakeState::idle && held_.empty() && !use_.has_flows()) calls_.reset();
  co_await rest();
}

// Something may have changed: an event says so, and they may come in crowds.
void WakeGroup::look_soon() {
  wanted_look_ = std::min(wanted_look_, std::max(Clock::now(), looked_at_ + event_pause_));
  changed_.raise();
}

bool WakeGroup::is_look_due() {
  const auto now = Clock::now();
  if (now >= wanted_look_) {
    const bool is_crowd = now < looked_at_ + 2 * event_pause_;
    event_pause_ = is_crowd ? std::min(2 * event_pause_, max_event_pause) : min_event_pause;
    return true;
  }
  // Clients should not wait for a start of what already runs, nor for what somebody else has stopped.
  return now >= next_look_ || (state_ == WakeState::idle && is_wanted() && now >= looked_at_ + event_pause_);
}

Task<> WakeGroup::look() {
  if (!is_look_due()) co_return;
  const auto pace = backend_.pace();
  wanted_look_ = Clock::time_point::max();  // what is wanted from here on this look may not see
  ++looks_begun_;
  const auto begun = looks_begun_;
  const auto seen = co_await backend_.status();
  looks_done_ = begun;
  looked_.cancel();
  look_back_off_ = seen ? Clock::duration{} : longer(look_back_off_);
  const bool starts = state_ == WakeState::starting || (seen && *seen == Backend::Status::starting);
  const auto interval = starts ? pace.starting : pace.otherwise;
  looked_at_ = Clock::now();
  next_look_ = looked_at_ + std::max(interval, look_back_off_);
  if (!seen) co_return troubles_.trouble(Doing::look, seen.error());
  troubles_.is_well(Doing::look);
  note_seen(*seen);
  switch (*seen) {
    case Backend::Status::idle:
    case Backend::Status::partly:
      co_return co_await take(WakeInput::seen_idle);
    case Backend::Status::starting:
      co_return co_await take(WakeInput::seen_starting);
    case Backend::Status::running:
      co_return co_await take(WakeInput::seen_running);
  }
}

void WakeGroup::note_seen(Backend::Status seen) {
  // Somebody else has begun to start it: its idle time begins, however long it slept.
  if (seen == Backend::Status::partly && seen_ == Backend::Status::idle) use_.touch(Clock::now());
  seen_ = seen;
}

Task<> WakeGroup::take(WakeInput first) {
  std::optional<WakeInput> input = first;
  while (input) {
    const auto step = wake_step(state_, *input);
    enter(step.next);
    input = co_await act(step.action);
  }
}

Task<std::optional<WakeInput>> WakeGroup::act(WakeAction action) {
  std::optional<WakeInput> next;
  switch (action) {
    case WakeAction::none:
      break;
    case WakeAction::start: {
      say_(WakeLevel::debug, options_.name + ": starting it");
      const auto started = co_await backend_.start();
      next_look_ = {};
      if (started) break;
      troubles_.trouble(Doing::start, started.error());
      next = WakeInput::start_failed;
      break;
    }
    case WakeAction::stop: {
      say_(WakeLevel::debug, options_.name + ": stopping it");
      const auto stopped = co_await backend_.stop();
      next_look_ = {};
      if (stopped)
        troubles_.is_well(Doing::stop);
      else
        troubles_.trouble(Doing::stop, stopped.error());
      next = stopped ? WakeInput::stopped : WakeInput::stop_failed;
      break;
    }
    case WakeAction::release:
      back_off_ = {};
      troubles_.is_well(Doing::start);
      troubles_.is_well(Doing::wait);
      release({});
      break;
    case WakeAction::back_off:
      back_off_ = longer(back_off_);
      failed_at_ = Clock::now();
      not_before_ = failed_at_ + back_off_;
      break;
    case WakeAction::try_later:
      use_.touch(Clock::now());
      break;
  }
  co_return next;
}

void WakeGroup::enter(WakeState next) {
  if (next == state_) return;
  tell(next);
  const auto now = Clock::now();
  if (next == WakeState::running) {
    running_since_ = now;
    calls_.forget();
  }
  const bool was_up = state_ == WakeState::starting || state_ == WakeState::running;
  const bool is_up = next == WakeState::starting || next == WakeState::running;
  if (!was_up || !is_up) use_.skip();
  if (is_up && !was_up) use_.touch(now);
  // The sender of datagrams does not see that the other end has gone: they are calls from now on. Flows of
  // which nothing was relayed wait.
  if (!is_up) use_.cut_datagrams(options_.name + " was stopped");
  state_ = next;
}

// What is tried again is not said again.
void WakeGroup::tell(WakeState next) {
  const bool again = back_off_ > Clock::duration{} && next != WakeState::running;
  if (again || next == told_) return;
  say_(WakeLevel::info, options_.name + ": State change (" + std::string(to_string(told_)) + " => " +
                            std::string(to_string(next)) + ")");
  told_ = next;
}

void WakeGroup::release(const std::optional<Error>& why_not) {
  for (auto* held : held_) held->end(why_not ? Result<void>(*why_not) : Result<void>());
}

Task<Result<void>> WakeGroup::awake(int asker, std::uint64_t packets) {
  use_.arrival(Clock::now());
  if (state_ == WakeState::running) co_return Result<void>();
  if (ended_) co_return Error{"nsrun ends", errno_code(ECONNABORTED)};
  if (held_.empty() && Clock::now() - failed_at_ >= calm_after_failure) back_off_ = {};  // it is another time
  Held held(*this, asker);
  new_calls_ += packets;
  changed_.raise();
  say_(WakeLevel::debug, options_.name + ": clients waiting: " + std::to_string(held_.size()));
  co_return co_await wait_held(held);
}

Task<Result<void>> WakeGroup::wait_held(Held& held) {
  const auto [error] = co_await held.timer.async_wait(use_result);
  if (held.outcome) co_return *held.outcome;
  // Neither an outcome nor the limit: this task is cancelled.
  if (error) throw boost::system::system_error(asio::error::operation_aborted);
  co_return not_ready_in_time();
}

Error WakeGroup::not_ready_in_time() {
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(options_.start_limit);
  if (state_ == WakeState::idle && !calls_.is_reached())
    return {options_.name + " sleeps on: clients sent fewer than " + std::to_string(options_.wake_least) +
                " packets (--wake-threshold)",
            errno_code(ECONNREFUSED)};
  const auto late = "not ready within " + std::to_string(limit.count()) + " ms; waiting clients are refused";
  troubles_.trouble(Doing::wait, {late});
  return {options_.name + " is " + late, errno_code(ECONNREFUSED)};
}

void WakeGroup::datagram_arrived() {
  if (state_ == WakeState::running || !calls_.has_threshold()) return;
  ++new_calls_;
  changed_.raise();
}

// What clients have sent to a group that does not run.
void WakeGroup::count_calls() {
  if (state_ == WakeState::running || !calls_.has_threshold()) return;
  for (auto* held : held_) new_calls_ += held->new_packets();
  if (state_ == WakeState::idle) {
    new_calls_ += use_.packets_from_clients();
    use_.skip();
  }
  calls_.count(Clock::now(), std::exchange(new_calls_, 0));
}

bool WakeGroup::is_wanted() const { return calls_.has_threshold() ? calls_.is_reached() : !held_.empty(); }

// One that is paused keeps its connections, and a client that sends there calls.
bool WakeGroup::is_spoken_to_asleep() const {
  return state_ == WakeState::idle && !calls_.has_threshold() && use_.has_flows() &&
         use_.packets_from_clients() > 0;
}

Task<> WakeGroup::look_again() {
  const auto wanted = looks_begun_ + 1;
  backend_.doubt();
  wanted_look_ = {};
  changed_.raise();
  while (!ended_ && looks_done_ < wanted) {
    co_await looked_.async_wait(use_result);
    unwind_if_cancelled(co_await asio::this_coro::cancellation_state);
  }
}

bool WakeGroup::is_fresh() const { return Clock::now() < running_since_ + options_.start_limit; }

bool WakeGroup::is_watched_for_use() const {
  const bool is_up = state_ == WakeState::running || state_ == WakeState::starting;
  const bool runs_partly = state_ == WakeState::idle && seen_ == Backend::Status::partly;
  return options_.idle > Clock::duration{} && (is_up || runs_partly);
}

bool WakeGroup::is_unused() {
  if (!is_watched_for_use()) return false;
  const auto now = Clock::now();
  use_.count(now);
  if (!held_.empty() && is_wanted()) use_.touch(now);
  return now >= use_.unused_at();
}

Clock::time_point WakeGroup::next_turn() const {
  const bool sleeps = state_ == WakeState::idle;
  const bool has_idle_time = options_.idle > Clock::duration{};
  auto turn = std::min(next_look_, wanted_look_);
  if (sleeps && is_wanted()) turn = std::min(turn, not_before_);
  const Clock::time_point sample =
      Clock::now() + (has_idle_time ? std::min<Clock::duration>(sample_interval, options_.idle)
                                    : Clock::duration(sample_interval));
  const bool is_counted = !held_.empty() && !is_wanted();
  if (sleeps && (is_counted || (has_idle_time && use_.has_flows()))) turn = std::min(turn, sample);
  if (!is_watched_for_use()) return turn;
  return std::min(turn, std::min(sample, std::max(use_.unused_at(), Clock::now())));
}

Task<> WakeGroup::rest() {
  const auto left = next_turn() - Clock::now();
  if (left > Clock::duration{})
    co_await either(changed_.wait(), sleep_for(left));
  else
    co_await asio::post(executor_, use_task);
}

}  // namespace nsrun
