// Theory of operation
//
//   asker ─► relay ─► FaultConnection::write ─► up_ ─► pass_up ───► far
//            relay ◄─ FaultConnection::read ◄── down_ ◄─ fill_down ◄─ far
//
// Ends and breaks travel as bytes do, behind them and as late. The flow ends when both ways have ended or one
// broke, when a rule cuts it (after so many bytes, or so long), or when the asker is gone and what was under
// way has arrived: then until_end() returns, which ends carry(). A cut is seen on both sides at once.
//
// A stream that is cut off must not look whole: where carry() goes before the asker's end was passed on, the
// far side is reset.

#include "host/faults/fault_connection.h"

#include <algorithm>

#include "runtime/delivery_error.h"

namespace nsrun {
namespace {

constexpr std::size_t fault_buffer = 65'536;  // bytes: the largest datagram
constexpr std::size_t entering = 16'384;      // bytes of a stream that enter at once
constexpr auto max_farewell = 60s;            // for what is under way once the asker has gone

Error broke() { return {"a fault broke the connection", errno_code(ECONNRESET)}; }
Error closed_by_fault() { return {"a fault closed the connection", errno_code(EPIPE)}; }

bool is_news(const Error& error) { return undelivered_for(error.code.value()).has_value(); }

}  // namespace

// The asker's end of a flow.
class FaultConnection final : public Connection {
 public:
  explicit FaultConnection(std::shared_ptr<FaultFlow> flow) : flow_(std::move(flow)) {}
  ~FaultConnection() override { flow_->near_goes(); }

  Transport transport() const override { return flow_->transport_; }
  Task<Result<Chunk>> read(MutableBytes into) override;
  Task<Result<void>> write(Bytes bytes) override;
  void finish() override {
    if (transport() == Transport::stream) flow_->up_.enter_end();
  }
  void reset() override {
    if (transport() == Transport::datagram) return;
    flow_->up_.enter_failure(broke());
    flow_->down_.cut({.kind = InTransit::Kind::failure, .error = broke()});
  }

 private:
  std::shared_ptr<FaultFlow> flow_;
};

Task<Result<Chunk>> FaultConnection::read(MutableBytes into) {
  auto travelled = co_await flow_->down_.leave(into.size());
  flow_->check();
  if (travelled.kind == InTransit::Kind::end) co_return Chunk{0, true};
  if (travelled.kind == InTransit::Kind::failure) co_return std::move(travelled.error);
  const auto size = std::min(into.size(), travelled.bytes.size());
  std::copy_n(travelled.bytes.begin(), size, into.begin());
  co_return Chunk{size, false};
}

Task<Result<void>> FaultConnection::write(Bytes bytes) {
  if (transport() == Transport::datagram) {
    flow_->up_.enter(bytes);
    co_return Result<void>{};
  }
  while (!bytes.empty()) {
    co_await flow_->up_.room();
    if (flow_->up_.is_broken()) co_return closed_by_fault();
    const auto piece = bytes.first(std::min(bytes.size(), entering));
    flow_->up_.enter(piece);
    bytes = bytes.subspan(piece.size());
  }
  co_return Result<void>{};
}

FaultFlow::FaultFlow(Executor executor, Transport transport, std::shared_ptr<Faults> faults,
                     std::uint64_t number, TransitBudget& under_way)
    : transport_(transport),
      faults_(std::move(faults)),
      up_(executor, transport, *faults_, &FaultSpec::up, faults_->chance(number, SeededRandom::Part::up),
          under_way),
      down_(executor, transport, *faults_, &FaultSpec::down,
            faults_->chance(number, SeededRandom::Part::down), under_way),
      timer_(executor),
      watch_(*faults_, executor, [this] { look_again(); }) {}

std::unique_ptr<Connection> FaultFlow::near_end(std::shared_ptr<FaultFlow> flow) {
  return std::make_unique<FaultConnection>(std::move(flow));
}

// However carry() ends, the far side learns of it.
class FaultFlow::Parting {
 public:
  Parting(FaultFlow& flow, Connection& far) : flow_(flow), far_(far) {}
  ~Parting() {
    if (flow_.end_ == End::closed)
      far_.finish();
    else if (!flow_.up_done_ && flow_.transport_ == Transport::stream)
      far_.reset();
    flow_.up_is_done();
  }

 private:
  FaultFlow& flow_;
  Connection& far_;
};

Task<> FaultFlow::carry(std::shared_ptr<FaultFlow> flow, std::unique_ptr<Connection> far, Counters& totals) {
  if (flow->transport_ == Transport::stream) {
    totals.relays_from_guest += 1;
    flow->undelivered_ = &totals.relays_from_guest;
  }
  const Parting parting(*flow, *far);
  co_await either(both(flow->pass_up(*far), flow->fill_down(*far)), flow->until_end());
}

// ---- the two ways

// To the very end of the flow: after the stream's end there may still be a reset.
Task<> FaultFlow::pass_up(Connection& far) {
  for (;;) {
    const auto travelled = co_await up_.leave(fault_buffer);
    if (travelled.kind == InTransit::Kind::failure) co_return end(End::reset);
    if (travelled.kind == InTransit::Kind::end) {
      far.finish();
      up_is_done();
      end_if_done();
      continue;
    }
    const auto written = co_await far.write(travelled.bytes);
    check();
    if (written) continue;
    const bool goes_on = transport_ == Transport::datagram && written.error().code.value() != EPIPE;
    if (!goes_on || is_news(written.error())) down_.enter_failure(written.error());
    if (goes_on) continue;
    up_is_done();
    co_return end_if_done();
  }
}

Task<> FaultFlow::fill_down(Connection& far) {
  std::vector<std::byte> buffer(fault_buffer);
  for (;;) {
    if (transport_ == Transport::stream) co_await down_.room();
    const auto chunk = co_await far.read(buffer);
    if (chunk && !chunk->end) {
      down_.enter(Bytes(buffer).first(chunk->size));
      continue;
    }
    if (chunk) down_.enter_end();
    if (!chunk) down_.enter_failure(chunk.error());
    if (!chunk && transport_ == Transport::datagram && is_news(chunk.error())) continue;
    down_done_ = true;
    co_return end_if_done();
  }
}

// ---- the end

Task<> FaultFlow::until_end() {
  while (end_ == End::none) {
    const auto next = next_look();
    if (end_ == End::none) co_await timer_.wait_until(next);
  }
}

Clock::time_point FaultFlow::next_look() {
  auto next = Clock::time_point::max();
  const auto spec = faults_->spec();
  if (transport_ == Transport::stream) {
    for (const auto& [way, passed] : {std::pair(&spec->up, &up_), std::pair(&spec->down, &down_)}) {
      if (way->reset_after) look_at(*way->reset_after, *passed, End::reset, next);
      if (way->close_after) look_at(*way->close_after, *passed, End::closed, next);
    }
  }
  if (!near_gone_) return next;
  const auto farewell = near_gone_at_ + max_farewell + spec->up.latency;
  if (farewell <= Clock::now()) end(End::over);
  return std::min(next, farewell);
}

void FaultFlow::look_at(const FaultPoint& point, const FaultWay& way, End how, Clock::time_point& next) {
  if (point.bytes && way.passed() >= *point.bytes) return end(how);
  if (!point.time) return;
  if (began_ + *point.time <= Clock::now()) return end(how);
  next = std::min(next, began_ + *point.time);
}

void FaultFlow::check() {
  if (end_ == End::none) next_look();
}

void FaultFlow::look_again() {
  timer_.ring();
  up_.look_again();
  down_.look_again();
}

void FaultFlow::end(End how) {
  if (end_ != End::none) return;
  end_ = how;
  if (how == End::closed) {
    up_.cut({.kind = InTransit::Kind::failure, .error = closed_by_fault()});
    down_.cut({.kind = InTransit::Kind::end});
  } else if (how == End::reset) {
    up_.cut({.kind = InTransit::Kind::failure, .error = broke()});
    down_.cut({.kind = InTransit::Kind::failure, .error = broke()});
  }
  timer_.ring();
}

// What the guest sent is not waited for any longer.
void FaultFlow::up_is_done() {
  up_done_ = true;
  if (Counter* undelivered = std::exchange(undelivered_, nullptr)) *undelivered -= 1;
}

void FaultFlow::end_if_done() {
  if (up_done_ && (down_done_ || near_gone_ || transport_ == Transport::datagram)) end(End::over);
}

void FaultFlow::near_goes() {
  near_gone_ = true;
  near_gone_at_ = Clock::now();
  up_.enter_end();
  end_if_done();
  timer_.ring();
}

}  // namespace nsrun
