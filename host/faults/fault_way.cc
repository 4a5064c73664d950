// Theory of operation
//
//   enter ─► lost? doubled? changed? ─► line, by when it is due
//                                         └─► stall, black hole ─► slices, bandwidth ─► leave
//
// Latency is a line of pieces, each due so long after it entered; as many are under way as fit, so that a
// long way is not a slow one. Bandwidth is kept where they leave: a piece that is due waits until its bits
// are through, and meanwhile the line fills. How much fits follows from both (limit): the bytes of the whole
// delay at the full rate, and something for the queue in front of a slow link.
//
// A stream keeps its order, so a piece is never due before the one that entered earlier. Datagrams are due
// when they are: jitter overtakes, as it does on a network. A datagram chosen for reordering waits until the
// next has left before it, or late_limit.
//
// The spec is asked anew for each piece, so that a change is followed. Pieces under way keep the time they
// are due; whether the way is stalled is looked at as they leave.

#include "host/faults/fault_way.h"

#include <algorithm>

#include "netstack/devices/flip_bit.h"

namespace nsrun {
namespace {

constexpr auto queue_time = 100ms;            // of a slow link's rate, held beside what latency holds
constexpr auto late_limit = 100ms;            // a datagram that nobody overtakes goes on after so long
constexpr auto quantum = 5ms;                 // of a rate, that passes at once
constexpr std::size_t min_quantum = 256;      // bytes: below it, headers outweigh what they carry
constexpr std::size_t fault_piece_cost = 64;  // bytes that an empty datagram counts for

std::size_t bytes_within(std::chrono::nanoseconds time, std::uint64_t rate) {
  return static_cast<std::size_t>(static_cast<double>(time.count()) * 1e-9 * static_cast<double>(rate) / 8);
}

}  // namespace

FaultWay::FaultWay(Executor executor, Transport transport, const Faults& faults, WayFaults FaultSpec::*which,
                   SeededRandom chance, TransitBudget& under_way)
    : transport_(transport),
      faults_(faults),
      which_(which),
      chance_(std::move(chance)),
      under_way_(under_way),
      room_(executor),
      leave_(executor) {}

FaultWay::~FaultWay() { under_way_.bytes -= held_; }

// ---- where it begins

std::size_t FaultWay::limit(const WayFaults& way) const {
  if (under_way_.bytes >= TransitBudget::ample) return least;
  const bool travels = way.latency.count() || way.jitter.count() || transport_ == Transport::datagram;
  if (way.bandwidth == 0) return travels ? most : least;
  return std::clamp(bytes_within(way.latency + way.jitter + queue_time, way.bandwidth), least, most);
}

Task<> FaultWay::room() {
  while (!is_broken() && held_ >= limit((*faults_.spec()).*which_)) co_await room_.wait_until();
}

Clock::time_point FaultWay::due(const WayFaults& way) {
  const double extra = chance_.balanced() * static_cast<double>(way.jitter.count());
  const auto delay = way.latency + std::chrono::nanoseconds(static_cast<std::int64_t>(extra));
  auto when = Clock::now() + std::max(delay, std::chrono::nanoseconds(0));
  if (transport_ == Transport::stream) when = std::max(when, last_due_);
  last_due_ = std::max(when, last_due_);
  return when;
}

FaultWay::Line::iterator FaultWay::insert(Clock::time_point when, InTransit what) {
  held_ += what.bytes.size() + fault_piece_cost;
  under_way_.bytes += what.bytes.size() + fault_piece_cost;
  const auto place = line_.emplace(when, std::move(what));
  if (place == line_.begin()) leave_.ring();
  return place;
}

void FaultWay::enter(Bytes bytes) {
  if (ended_ || last_) return;
  const auto spec = faults_.spec();
  const WayFaults& way = (*spec).*which_;
  if (transport_ == Transport::datagram) return enter_datagram(way, bytes, spec->blackhole >= 1);
  insert(due(way), {.bytes = {bytes.begin(), bytes.end()}});
}

void FaultWay::enter_datagram(const WayFaults& way, Bytes bytes, bool swallowed) {
  // Always as many draws, so that the same datagrams meet the same faults whatever else is asked for.
  const bool lost = chance_.happens(way.loss), twice = chance_.happens(way.duplicate),
             late = chance_.happens(way.reorder), changed = chance_.happens(way.corrupt);
  const double where = chance_.unit();
  const auto when = due(way);
  if (lost || swallowed || held_ + bytes.size() > limit(way)) return;
  InTransit datagram{.bytes = {bytes.begin(), bytes.end()}};
  if (changed) flip_bit(datagram.bytes, where);
  if (const auto waiting = std::exchange(late_, std::nullopt)) overtake(*waiting, when);
  if (twice) insert(when, datagram);
  const auto place = insert(late ? when + late_limit : when, std::move(datagram));
  if (late) late_ = place;
}

// The datagram that came after it is due at `when`, and this one right behind.
void FaultWay::overtake(Line::iterator late, Clock::time_point when) {
  auto node = line_.extract(late);
  node.key() = when + std::chrono::nanoseconds(1);
  if (line_.insert(std::move(node)) == line_.begin()) leave_.ring();
}

void FaultWay::enter_end() {
  if (std::exchange(ended_, true)) return;
  const auto spec = faults_.spec();
  const WayFaults& way = (*spec).*which_;
  insert(std::max(due(way) + way.close_delay, last_due_), {.kind = InTransit::Kind::end});
}

void FaultWay::enter_failure(Error error) {
  const auto spec = faults_.spec();
  if (transport_ == Transport::stream) ended_ = broken_ = true;
  room_.ring();
  insert(due((*spec).*which_), {.kind = InTransit::Kind::failure, .error = std::move(error)});
}

// ---- where it ends

Task<InTransit> FaultWay::leave(std::size_t size) {
  for (;;) {
    co_await arrived();
    co_await may_pass();
    if (last_) co_return *last_;
    if (current_->kind != InTransit::Kind::bytes) co_return take(0);
    const auto now = piece(size);
    co_await shape(now);
    if (!last_) co_return take(now);
  }
}

Task<> FaultWay::arrived() {
  while (!last_ && !current_) {
    const auto when = line_.empty() ? Clock::time_point::max() : line_.begin()->first;
    if (when > Clock::now()) {
      co_await leave_.wait_until(when);
      continue;
    }
    if (late_ == line_.begin()) late_.reset();
    came_ = line_.begin()->first;
    current_ = std::move(line_.begin()->second);
    line_.erase(line_.begin());
    gone_ = 0;
  }
}

Task<> FaultWay::until(Clock::time_point when) {
  while (!last_ && when > Clock::now()) co_await leave_.wait_until(when);
}

Task<> FaultWay::may_pass() {
  for (;;) {
    const auto spec = faults_.spec();
    const auto when = stalled_until(*spec);
    if (last_ || when <= Clock::now()) co_return;
    co_await leave_.wait_until(when);
    came_ = Clock::now();
  }
}

Clock::time_point FaultWay::stalled_until(const FaultSpec& spec) {
  if (spec.blackhole >= 1) return Clock::time_point::max();
  const auto& stall = (spec.*which_).stall;
  if (!stall) return {};
  const auto now = Clock::now();
  auto since = began_ + stall->after.time.value_or(0ns);
  if (stall->after.bytes) {
    if (passed_ < *stall->after.bytes) return {};
    if (stall_ != stall) stall_began_ = now;
    stall_ = stall;
    since = stall_began_;
  }
  if (since > now) return {};
  return stall->lasting ? since + *stall->lasting : Clock::time_point::max();
}

// How much of a stream may pass until there is something else to look at.
std::size_t FaultWay::piece(std::size_t size) {
  const std::size_t rest = current_->bytes.size() - gone_;
  if (transport_ == Transport::datagram) return rest;
  const auto spec = faults_.spec();
  const WayFaults& way = (*spec).*which_;
  size = std::min(size, rest);
  if (way.bandwidth) size = std::min(size, std::max(bytes_within(quantum, way.bandwidth), min_quantum));
  if (way.slice_most) size = std::min<std::size_t>(size, chance_.between(way.slice_least, way.slice_most));
  const auto up_to = [&](const FaultPoint& point) {
    if (point.bytes && *point.bytes > passed_) size = std::min<std::size_t>(size, *point.bytes - passed_);
  };
  if (way.stall) up_to(way.stall->after);
  if (way.reset_after) up_to(*way.reset_after);
  if (way.close_after) up_to(*way.close_after);
  return size;
}

Task<> FaultWay::shape(std::size_t size) {
  const auto spec = faults_.spec();
  const WayFaults& way = (*spec).*which_;
  if (way.bandwidth) co_await until(bucket_.take(came_, size, way.bandwidth));
  if (!way.slice_most) co_return;
  co_await until(last_slice_ + way.slice_delay);
  last_slice_ = Clock::now();
}

InTransit FaultWay::take(std::size_t size) {
  passed_ += size;
  gone_ += size;
  if (current_->kind == InTransit::Kind::bytes && gone_ < current_->bytes.size()) {
    const auto from = current_->bytes.begin() + static_cast<std::ptrdiff_t>(gone_ - size);
    return {.bytes = {from, from + static_cast<std::ptrdiff_t>(size)}};
  }
  InTransit whole = std::move(*current_);
  current_.reset();
  held_ -= whole.bytes.size() + fault_piece_cost;
  under_way_.bytes -= whole.bytes.size() + fault_piece_cost;
  whole.bytes.erase(whole.bytes.begin(), whole.bytes.begin() + static_cast<std::ptrdiff_t>(gone_ - size));
  room_.ring();
  return whole;
}

// ---- from outside

void FaultWay::cut(InTransit last) {
  if (last_) return;
  last_ = std::move(last);
  line_.clear();
  late_.reset();
  current_.reset();
  under_way_.bytes -= std::exchange(held_, 0);
  look_again();
}

void FaultWay::look_again() {
  leave_.ring();
  room_.ring();
}

}  // namespace nsrun
