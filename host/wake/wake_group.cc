// One task, run(), makes every change: it looks at the backend, takes what follows from that and from those
// who ask (wake_states.cc has the table), and rests until it is told of something or something is due. Calls
// of the backend are made one after the other.
//
// Who asks while it does not run is held: in a list, each with a time limit and, where the asker's is a
// kernel socket, watched for leaving. Nothing is read from the asker meanwhile. What they send early stays
// where it is, in order, bounded by the socket's receive buffer (for datagrams by the listener's queue), and
// is relayed once the dial has succeeded.
//
// Use is traffic, seen in the counters of the group's flows: they are looked at a few times a second while it
// runs and never otherwise, and cost the data path nothing.
//
// A start that fails is tried again, later each time, as long as anybody is held. The same trouble is said
// once, until something else has happened.

#include "host/wake/wake_group.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <utility>

namespace nsrun {
namespace {

constexpr auto sample_interval = 250ms;  // of traffic: stopping is at most so much late
constexpr auto first_back_off = 250ms;
constexpr Clock::duration longest_back_off = 10s;
constexpr std::uint64_t tcp_payload =
    1460;  // bytes that count as a packet: streams are not counted in packets

Clock::duration longer(Clock::duration back_off) {
  return std::clamp<Clock::duration>(back_off * 2, first_back_off, longest_back_off);
}

std::uint64_t units_between(const Counters& then, const Counters& now, WakeGroup::Unit unit) {
  const auto moved = [](const auto& before, const auto& after) {
    return after.bytes_up + after.bytes_down - before.bytes_up - before.bytes_down;
  };
  const std::uint64_t stream = moved(then.tcp, now.tcp);
  if (unit == WakeGroup::Unit::bytes) return stream + moved(then.udp, now.udp);
  return (stream + tcp_payload - 1) / tcp_payload + now.udp.packets_up + now.udp.packets_down -
         then.udp.packets_up - then.udp.packets_down;
}

}  // namespace

// One who waits. The timer's expiry is the limit; it is cancelled once there is an outcome.
struct WakeGroup::Held {
  Held(WakeGroup& to, int socket) : group(to), asker(socket), timer(to.executor_, to.options_.start_limit) {
    place = group.held_.insert(group.held_.end(), this);
    if (asker >= 0)
      group.departures_.watch(asker, [this] { end(Error{"who asked has left", errno_code(ECONNABORTED)}); });
  }
  ~Held() {
    if (asker >= 0) group.departures_.forget(asker);
    group.held_.erase(place);
  }
  void end(Result<void> how) {
    if (!outcome) outcome = std::move(how);
    timer.cancel();
  }

  WakeGroup& group;
  const int asker;
  Timer timer;
  std::optional<Result<void>> outcome;
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

WakeGroup::WakeGroup(Executor executor, Backend& backend, LiveFlows& flows, Options options, Say say)
    : executor_(executor),
      backend_(backend),
      flows_(flows),
      options_(std::move(options)),
      say_(std::move(say)),
      departures_(executor),
      idle_clock_(options_.idle, options_.least),
      changed_(executor),
      looked_(executor, Clock::time_point::max()) {}

Task<> WakeGroup::run() {
  const Farewell farewell(*this);
  const auto beside = [](WakeGroup& group) -> Task<> {
    co_await both(group.departures_.run(), group.backend_.watch([&group] {
      group.next_look_ = {};
      group.changed_.raise();
    }));
  };
  co_await both(work(), beside(*this));
}

Task<> WakeGroup::work() {
  for (;;) {
    co_await look();
    const bool may_start = state_ == WakeState::idle && Clock::now() >= not_before_;
    if (may_start && !held_.empty())
      co_await take(WakeInput::asked);
    else if (is_unused())
      co_await take(WakeInput::unused);
    co_await rest();
  }
}

Task<> WakeGroup::look() {
  const auto pace = backend_.pace();
  // Who asks should not wait for a start of what already runs, nor for what somebody else has stopped.
  const bool due = Clock::now() >= next_look_ || (state_ == WakeState::idle && !held_.empty());
  if (!due) co_return;
  ++looks_begun_;
  const auto begun = looks_begun_;
  const auto seen = co_await backend_.status();
  looks_done_ = begun;
  looked_.cancel();
  look_back_off_ = seen ? Clock::duration{} : longer(look_back_off_);
  const auto interval = state_ == WakeState::starting ? pace.starting : pace.otherwise;
  next_look_ = Clock::now() + std::max(interval, look_back_off_);
  if (!seen) co_return trouble(Doing::look, seen.error());
  said_.erase(Doing::look);
  switch (*seen) {
    case Backend::Status::idle:
      co_return co_await take(WakeInput::seen_idle);
    case Backend::Status::partly:
      co_return co_await take(WakeInput::seen_idle);
    case Backend::Status::starting:
      co_return co_await take(WakeInput::seen_starting);
    case Backend::Status::running:
      co_return co_await take(WakeInput::seen_running);
  }
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
      const auto started = co_await backend_.start();
      next_look_ = {};
      if (started) break;
      trouble(Doing::start, started.error());
      next = WakeInput::start_failed;
      break;
    }
    case WakeAction::stop: {
      const auto stopped = co_await backend_.stop();
      next_look_ = {};
      if (stopped)
        said_.erase(Doing::stop);
      else
        trouble(Doing::stop, stopped.error());
      next = stopped ? WakeInput::stopped : WakeInput::stop_failed;
      break;
    }
    case WakeAction::release:
      back_off_ = {};
      said_.erase(Doing::start);
      said_.erase(Doing::wait);
      release({});
      break;
    case WakeAction::back_off:
      back_off_ = longer(back_off_);
      not_before_ = Clock::now() + back_off_;
      break;
    case WakeAction::try_later:
      idle_clock_.touch(Clock::now());
      break;
  }
  co_return next;
}

void WakeGroup::enter(WakeState next) {
  if (next == state_) return;
  tell(next);
  const auto now = Clock::now();
  if (next == WakeState::running) running_since_ = now;
  if (next == WakeState::starting || next == WakeState::running) {
    counted_ = flows_.totals;
    idle_clock_.touch(now);
  } else {
    cut_datagrams();
  }
  state_ = next;
}

// What is tried again is not said again.
void WakeGroup::tell(WakeState next) {
  const bool again = back_off_ > Clock::duration{} && next != WakeState::running;
  if (again || next == told_) return;
  say_(options_.name + ": State change (" + std::string(to_string(told_)) + " => " +
       std::string(to_string(next)) + ")");
  told_ = next;
}

// Nobody tells the sender of datagrams that the other end has gone: from now on theirs are asking anew. Those
// of whom nothing was relayed are held.
void WakeGroup::cut_datagrams() {
  LiveFlows::Walk walk(flows_);
  while (auto* flow = walk.next())
    if (flow->key.protocol == Protocol::udp && flow->packets_up > 0)
      flow->cut(options_.name + " was stopped");
}

void WakeGroup::release(const std::optional<Error>& why_not) {
  for (auto* held : held_) held->end(why_not ? Result<void>(*why_not) : Result<void>());
}

void WakeGroup::trouble(Doing doing, const Error& error) {
  auto what = error.message();
  if (said_[doing] == what) return;
  say_(options_.name + ": " + what);
  said_[doing] = std::move(what);
}

Task<Result<void>> WakeGroup::awake(int asker) {
  idle_clock_.touch(Clock::now());
  if (state_ == WakeState::running) co_return Result<void>();
  if (ended_) co_return Error{"nsrun ends", errno_code(ECONNABORTED)};
  Held held(*this, asker);
  changed_.raise();
  co_return co_await wait_held(held);
}

Task<Result<void>> WakeGroup::wait_held(Held& held) {
  const auto [error] = co_await held.timer.async_wait(use_result);
  if (held.outcome) co_return *held.outcome;
  // Neither an outcome nor the limit: this task is cancelled.
  if (error) throw boost::system::system_error(asio::error::operation_aborted);
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(options_.start_limit);
  const auto late = "not ready within " + std::to_string(limit.count()) + " ms: who waits is turned away";
  trouble(Doing::wait, {late});
  co_return Error{options_.name + " is " + late, errno_code(ECONNREFUSED)};
}

Task<> WakeGroup::look_again() {
  const auto wanted = looks_begun_ + 1;
  next_look_ = {};
  changed_.raise();
  while (!ended_ && looks_done_ < wanted) {
    co_await looked_.async_wait(use_result);
    const auto cancelled = co_await asio::this_coro::cancellation_state;
    if (cancelled.cancelled() != asio::cancellation_type::none)
      throw boost::system::system_error(asio::error::operation_aborted);
  }
}

bool WakeGroup::is_fresh() const { return Clock::now() < running_since_ + options_.start_limit; }

bool WakeGroup::is_watched_for_use() const {
  return options_.idle > Clock::duration{} && (state_ == WakeState::running || state_ == WakeState::starting);
}

void WakeGroup::count_traffic() {
  const auto units = units_between(counted_, flows_.totals, options_.unit);
  counted_ = flows_.totals;
  const auto now = Clock::now();
  if (options_.by_traffic) idle_clock_.moved(now, units);
  const bool is_open = options_.by_connections && LiveFlows::Walk(flows_).next();
  if (is_open || !held_.empty()) idle_clock_.touch(now);
}

bool WakeGroup::is_unused() {
  if (!is_watched_for_use()) return false;
  count_traffic();
  return Clock::now() >= idle_clock_.unused_at();
}

Clock::time_point WakeGroup::next_turn() const {
  auto turn = next_look_;
  if (state_ == WakeState::idle && !held_.empty()) turn = std::min(turn, not_before_);
  if (!is_watched_for_use()) return turn;
  const auto sample = Clock::now() + std::min<Clock::duration>(sample_interval, options_.idle);
  return std::min(turn, std::min<Clock::time_point>(sample, std::max(idle_clock_.unused_at(), Clock::now())));
}

Task<> WakeGroup::rest() {
  const auto left = next_turn() - Clock::now();
  if (left > Clock::duration{})
    co_await either(changed_.wait(), sleep_for(left));
  else
    co_await asio::post(executor_, use_task);
}

}  // namespace nsrun
