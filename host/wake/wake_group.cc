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
// runs, or is asleep with connections, and never otherwise, and cost the data path nothing.
//
// A start that fails is tried again, later each time, as long as anybody is held. The same trouble is said
// once, until there has been none for a minute.

#include "host/wake/wake_group.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <cctype>
#include <utility>

#include "runtime/cancellation.h"

namespace nsrun {
namespace {

constexpr auto sample_interval = 250ms;  // of traffic: stopping is at most so much late
constexpr auto least_pause = 50ms;       // between looks, where nobody waits for one
constexpr Clock::duration calm = 60s;    // without a trouble it may be said again
constexpr auto first_back_off = 250ms;
constexpr Clock::duration longest_back_off = 10s;
constexpr std::uint64_t tcp_payload =
    1460;  // bytes that count as a packet: streams are not counted in packets

// Docker's messages name containers, networks and endpoints, each time others.
std::string without_ids(const std::string& text) {
  constexpr std::size_t shortest = 12;
  std::string kept, digits;
  const auto flush = [&] {
    kept += digits.size() < shortest ? digits : "#";
    digits.clear();
  };
  for (const char c : text) {
    if (std::isxdigit(static_cast<unsigned char>(c))) {
      digits += c;
      continue;
    }
    flush();
    kept += c;
  }
  flush();
  return kept;
}

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
  idle_clock_.touch(Clock::now());
  const auto beside = [](WakeGroup& group) -> Task<> {
    co_await both(group.departures_.run(), group.backend_.watch([&group] { group.look_soon(); }));
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
    trouble(Doing::look, *failed);
    // Whether it still runs is seen next.
    if (state_ == WakeState::stopping) enter(wake_step(state_, WakeInput::stop_failed).next);
    co_await sleep_for(first_back_off);
  }
}

Task<> WakeGroup::turn() {
  co_await look();
  const bool may_start = state_ == WakeState::idle && Clock::now() >= not_before_;
  if (may_start && (!held_.empty() || is_used_asleep()))
    co_await take(WakeInput::asked);
  else if (is_unused())
    co_await take(WakeInput::unused);
  co_await rest();
}

// Something may have changed: an event says so, and they may come in crowds.
void WakeGroup::look_soon() {
  wanted_look_ = std::min(wanted_look_, std::max(Clock::now(), looked_at_ + least_pause));
  changed_.raise();
}

Task<> WakeGroup::look() {
  const auto pace = backend_.pace();
  // Who asks should not wait for a start of what already runs, nor for what somebody else has stopped.
  const bool due =
      Clock::now() >= std::min(next_look_, wanted_look_) || (state_ == WakeState::idle && !held_.empty());
  if (!due) co_return;
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
  if (!seen) co_return trouble(Doing::look, seen.error());
  is_well(Doing::look);
  partly_runs_ = *seen == Backend::Status::partly;
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
        is_well(Doing::stop);
      else
        trouble(Doing::stop, stopped.error());
      next = stopped ? WakeInput::stopped : WakeInput::stop_failed;
      break;
    }
    case WakeAction::release:
      back_off_ = {};
      is_well(Doing::start);
      is_well(Doing::wait);
      release({});
      break;
    case WakeAction::back_off:
      back_off_ = longer(back_off_);
      failed_at_ = Clock::now();
      not_before_ = failed_at_ + back_off_;
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
  const bool was_up = state_ == WakeState::starting || state_ == WakeState::running;
  const bool is_up = next == WakeState::starting || next == WakeState::running;
  if (!was_up || !is_up) counted_ = flows_.totals;
  if (is_up && !was_up) idle_clock_.touch(now);
  if (!is_up) cut_datagrams();
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

// Said once, until there has been none of its kind for a while, or it is another one.
void WakeGroup::trouble(Doing doing, const Error& error) {
  auto what = without_ids(error.message());
  const auto said = said_.find(doing);
  if (said != said_.end() && said->second.what == what) {
    const auto well_since = std::exchange(said->second.well_since, std::nullopt);
    if (!well_since || Clock::now() - *well_since < calm) return;
  }
  say_(options_.name + ": " + error.message());
  said_[doing] = {std::move(what), std::nullopt};
}

void WakeGroup::is_well(Doing doing) {
  const auto said = said_.find(doing);
  if (said != said_.end() && !said->second.well_since) said->second.well_since = Clock::now();
}

Task<Result<void>> WakeGroup::awake(int asker) {
  idle_clock_.touch(Clock::now());
  if (state_ == WakeState::running) co_return Result<void>();
  if (ended_) co_return Error{"nsrun ends", errno_code(ECONNABORTED)};
  if (held_.empty() && Clock::now() - failed_at_ >= calm) back_off_ = {};  // it is another time
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
  return options_.idle > Clock::duration{} && (is_up || (state_ == WakeState::idle && partly_runs_));
}

void WakeGroup::count_traffic() {
  const auto units = units_between(counted_, flows_.totals, options_.unit);
  counted_ = flows_.totals;
  const auto now = Clock::now();
  if (options_.by_traffic) idle_clock_.moved(now, units);
  const bool is_open = options_.by_connections && LiveFlows::Walk(flows_).next();
  if (is_open || !held_.empty()) idle_clock_.touch(now);
}

// One that is paused keeps its connections, and who speaks there is asking.
bool WakeGroup::is_used_asleep() {
  if (state_ != WakeState::idle || !LiveFlows::Walk(flows_).next()) return false;
  return flows_.totals.tcp.bytes_up != counted_.tcp.bytes_up;
}

bool WakeGroup::is_unused() {
  if (!is_watched_for_use()) return false;
  count_traffic();
  return Clock::now() >= idle_clock_.unused_at();
}

Clock::time_point WakeGroup::next_turn() const {
  auto turn = std::min(next_look_, wanted_look_);
  if (state_ == WakeState::idle && !held_.empty()) turn = std::min(turn, not_before_);
  const auto sample = Clock::now() + std::min<Clock::duration>(sample_interval, options_.idle);
  const bool sleeps = state_ == WakeState::idle && options_.idle > Clock::duration{};
  if (sleeps && LiveFlows::Walk(flows_).next()) turn = std::min<Clock::time_point>(turn, sample);
  if (!is_watched_for_use()) return turn;
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
