// A stream's two halves.
//
//   session ─ take() ─► pieces ─► read()       the far side's bytes; what was read becomes credit again
//   session ◄─ pending ◄───────── write()      lent, not copied: a write lasts until the session took it all
//
// A Connection that is destroyed closes: what has come and was not read makes that a reset, as close(2) does;
// else the far side is told the end, and whatever it still sends is answered by a reset.

#include "host/tunnel/stream_state.h"

#include <algorithm>

namespace nsrun::tunnel {
namespace {

constexpr std::size_t small_piece = 16 * 1024;  // bytes: up to here what comes is put together

class TunnelStream final : public Connection {
 public:
  explicit TunnelStream(std::shared_ptr<StreamState> state) : state_(std::move(state)) {}
  ~TunnelStream() override;

  Transport transport() const override { return state_->transport; }
  Task<Result<Chunk>> read(MutableBytes into) override;
  Task<Result<void>> write(Bytes bytes) override;
  void finish() override {
    if (state_->broken || std::exchange(state_->finish_wanted, true) || !state_->hub) return;
    state_->hub->has_something(*state_);
  }
  void reset() override {
    if (state_->broken) return;
    if (state_->hub) state_->hub->break_off(*state_);
    state_->break_now();
  }

 private:
  const std::shared_ptr<StreamState> state_;
};

TunnelStream::~TunnelStream() {
  state_->gone = true;
  if (state_->broken || !state_->hub) return;
  const bool unread = !state_->pieces.empty();
  if (unread || state_->transport == Transport::datagram)
    reset();
  else
    finish();
}

// The next bytes of a stream, or the next datagram.
std::size_t move_out(StreamState& state, MutableBytes into) {
  std::size_t size = 0;
  state.last_read = Clock::now();
  do {
    const auto rest = as_bytes(state.pieces.front()).subspan(state.front_read);
    const auto part = std::min(rest.size(), into.size() - size);
    std::copy_n(rest.begin(), part, into.begin() + static_cast<std::ptrdiff_t>(size));
    size += part;
    state.front_read += part;
    if (state.transport == Transport::stream && part < rest.size()) break;
    state.release(state.pieces.front().size() + piece_cost);
    state.unreported += cost_of(state, state.pieces.front().size());
    state.front_read = 0;
    state.pieces.pop_front();
  } while (state.transport == Transport::stream && !state.pieces.empty() && size < into.size());
  return size;
}

Task<Result<Chunk>> TunnelStream::read(MutableBytes into) {
  StreamState& state = *state_;
  while (!state.broken && state.pieces.empty() && !state.far_finished) co_await state.arrived.wait();
  if (state.broken) co_return Error{"the tunnel's stream broke while reading", errno_code(ECONNRESET)};
  if (state.pieces.empty()) co_return Chunk{0, true};
  const auto size = move_out(state, into);
  if (state.hub) state.hub->took(state);
  co_return Chunk{size, false};
}

Task<Result<void>> TunnelStream::write(Bytes bytes) {
  StreamState& state = *state_;
  if (state.finish_wanted || (state.closed && state.pieces.empty()))
    co_return Error{"nobody reads any more", errno_code(EPIPE)};
  // The far side closed both ways; what it had sent before is still being read, and then we say so.
  if (state.closed) co_return Result<void>{};
  if (!state.hub) co_return Error{"the tunnel has ended", errno_code(ECONNRESET)};
  if (bytes.empty() && state.transport == Transport::stream) co_return Result<void>{};
  struct Lent {
    StreamState& to;
    ~Lent() {
      to.pending = {};
      to.has_pending = false;
    }
  } lent{state};
  state.pending = bytes;
  state.has_pending = true;
  if (!state.broken) state.hub->has_something(state);
  while (!state.broken && state.has_pending) co_await state.sent.wait();
  if (state.broken) co_return Error{"the tunnel's stream broke while writing", errno_code(ECONNRESET)};
  co_return Result<void>{};
}

}  // namespace

void StreamState::release(std::size_t bytes) {
  held -= bytes;
  backlog->bytes -= bytes;
  if (backlog->awaited && bytes > 0) backlog->shrank.raise();
}

void StreamState::take(std::string bytes) {
  if (pieces.empty()) last_read = Clock::now();
  const auto before = held;
  held += bytes.size();
  const bool joins =
      transport == Transport::stream && !pieces.empty() && pieces.back().size() + bytes.size() <= small_piece;
  if (joins) {
    pieces.back() += bytes;
  } else {
    held += piece_cost;
    pieces.push_back(std::move(bytes));
  }
  backlog->bytes += held - before;
  arrived.raise();
}

void StreamState::end() {
  far_finished = true;
  arrived.raise();
}

void StreamState::break_now() {
  broken = true;
  pieces.clear();
  release(held);
  front_read = 0;
  for (Signal* signal : {&arrived, &sent, &answered}) signal->raise();
}

std::unique_ptr<Connection> connection_of(std::shared_ptr<StreamState> stream) {
  return std::make_unique<TunnelStream>(std::move(stream));
}

}  // namespace nsrun::tunnel
