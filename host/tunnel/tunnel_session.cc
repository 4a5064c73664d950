// Streams over one WebSocket.
//
//   flows ─ write ─► StreamState ─ turns_ ─► gather ─► sending_ ─► WebSocket      write_all, one task
//   flows ◄─ read ── StreamState ◄────────── take ◄─── Wire ◄───── WebSocket      read_all, one task
//
// The writer takes from streams in turn, up to a piece of each and a batch in all, so that a stream with much
// to send delays the others by one batch at most. What the session itself says (said_) goes first. The reader
// never waits for a stream, a dial or a listener: what comes is put where its stream finds it, and what is
// asked for becomes somebody else's task.
//
// Memory. Binary: each side may send `window` bytes of a stream beyond what was read, so that is what a
// stopped reader costs. JSON has no such window. In both, all streams of a session together hold max_held()
// (Backlog): beyond that the session is not read until some of it is, so that TCP holds the far side back. A
// stream that is read, however slowly, is never reset; of those that were not read for `stall_limit` the one
// that holds most is, until the rest fits. said_ is bounded by the reader, too: it does not go on while the
// far side takes no answers.
//
// Ends. Binary: each direction ends by itself (finish), and a stream is forgotten when both have. JSON knows
// only the close of both. Who was dialled says it at once; for who asked, a server waits until nothing came
// from the other side for `half_close_grace`, since many a client ends its request before it reads.

#include "host/tunnel/tunnel_session.h"

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/this_coro.hpp>
#include <limits>
#include <vector>

#include "host/tunnel/session_limits.h"

namespace nsrun {

using namespace tunnel::limits;
using tunnel::Frame;
using tunnel::Reason;
using tunnel::StreamState;
using Type = Frame::Type;

IncomingStream::~IncomingStream() {
  if (stream_) refuse(Reason::timed_out);
}

std::unique_ptr<Connection> IncomingStream::accept() {
  const auto stream = std::exchange(stream_, nullptr);
  if (!stream || stream->broken || !stream->hub) return nullptr;
  if (session_.is_binary()) session_.say({.type = Type::open_ok, .stream = stream->id, .window = window});
  return tunnel::connection_of(stream);
}

void IncomingStream::refuse(Reason reason) {
  const auto stream = std::exchange(stream_, nullptr);
  if (!stream || stream->broken || !stream->hub) return;
  if (session_.is_binary())
    session_.say({.type = Type::open_err, .stream = stream->id, .reason = reason});
  else
    session_.say({.type = Type::close, .stream = stream->id});
  session_.forget(*stream);
  stream->break_now();
}

TunnelSession::TunnelSession(Executor executor, std::unique_ptr<WebSocket> socket, bool binary,
                             Options options, TunnelEvents& events)
    : executor_(executor),
      socket_(std::move(socket)),
      wire_(binary ? tunnel::binary_wire() : tunnel::json_wire()),
      options_(options),
      events_(events),
      backlog_(std::make_shared<tunnel::Backlog>(executor)),
      has_work_(executor),
      drained_(executor),
      half_close_(executor) {}

TunnelSession::~TunnelSession() { forget_all(); }

// ---- Its life.

// Even where this is cancelled goodbye is said, so what carries is not a part of it.
Task<Error> TunnelSession::run() {
  bool over = false, leaving = false;
  Timer wake(executor_, Clock::time_point::max());
  auto note_end = [&](std::exception_ptr) {
    over = true;
    wake.cancel();
  };
  const auto cancellation = std::make_shared<asio::cancellation_signal>();
  asio::co_spawn(executor_, carry(), asio::bind_cancellation_slot(cancellation->slot(), std::move(note_end)));
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  while (!over) {
    co_await wake.async_wait(use_result);
    if (over) break;
    // We were cancelled; or again, or it took too long.
    if (std::exchange(leaving, true)) {
      cancellation->emit(asio::cancellation_type::terminal);
      wake.expires_at(Clock::time_point::max());
    } else {
      close(options_.role == Role::client ? WebSocket::normal : WebSocket::going_away, "");
      wake.expires_after(2 * goodbye_limit);
    }
  }
  co_await asio::this_coro::throw_if_cancelled(throws);
  socket_->abort();
  forget_all();
  co_return ended_.value_or(Error{"the tunnel was ended", errno_code(ECONNABORTED)});
}

Task<> TunnelSession::carry() {
  co_await wait_any(read_all(), write_all(), keep_alive(), watch_half_closed());
}

void TunnelSession::close(std::uint16_t code, std::string reason) {
  goodbye_.emplace(code, std::move(reason));
  when_idle_ = false;
  has_work_.raise();
}

void TunnelSession::abort(Error why) {
  end(std::move(why));
  socket_->abort();
}

void TunnelSession::close_when_idle(std::uint16_t code, std::string reason) {
  if (goodbye_) return;
  goodbye_.emplace(code, std::move(reason));
  when_idle_ = true;
  has_work_.raise();
}

void TunnelSession::end(Error why) {
  if (!ended_) ended_ = std::move(why);
}

Task<> TunnelSession::part(std::uint16_t code, std::string reason) {
  co_await either(socket_->close(code, std::move(reason)), abort_after(goodbye_limit));
}

// What does not end by itself is ended, for a WebSocket's close is not to be cancelled.
Task<> TunnelSession::abort_after(Clock::duration limit) {
  co_await sleep_for(limit);
  socket_->abort();
}

void TunnelSession::forget_all() {
  for (auto& [id, stream] : std::exchange(streams_, {})) {
    stream->hub = nullptr;
    if (!stream->answer) stream->answer = Error{"the tunnel ended", errno_code(ECONNRESET)};
    stream->break_now();
  }
  turns_.clear();
}

Task<> TunnelSession::read_all() {
  std::vector<std::byte> buffer(read_buffer);
  const auto sink = [this](Frame frame) { take(std::move(frame)); };
  const auto note = [this](const std::string& what) { trouble(what); };
  for (;;) {
    const auto part_read = co_await socket_->read(buffer);
    if (!part_read) co_return end(part_read.error());
    last_heard_ = Clock::now();
    has_heard_ = true;
    auto read = wire_->read(Bytes(buffer).first(part_read->size), part_read->message_ends, sink, note);
    if (!read) {
      end(read.error());
      co_await part(WebSocket::protocol_error, read.error().doing);
      co_return;
    }
    if (backlog_->bytes > max_held()) co_await hold_back();
    while (said_.bytes.size() > max_said) co_await drained_.wait();
  }
}

Task<> TunnelSession::write_all() {
  for (;;) {
    if (gather()) {
      std::size_t begin = 0;
      for (const auto message_end : sending_.ends) {
        const auto message = as_bytes(sending_.bytes).subspan(begin, message_end - begin);
        auto sent = co_await socket_->write(message, wire_->is_binary());
        if (!sent) co_return end(sent.error());
        begin = message_end;
      }
      drained_.raise();
    } else if (std::exchange(ping_wanted_, false)) {
      if (auto sent = co_await socket_->ping(); !sent) co_return end(sent.error());
    } else if (goodbye_ && (!when_idle_ || streams_.empty())) {
      end({"the tunnel was closed", asio::error::eof});
      co_await part(goodbye_->first, goodbye_->second);
      co_return;
    } else {
      co_await has_work_.wait();
    }
  }
}

// ---- To the far side.

void TunnelSession::say(const Frame& frame) {
  wire_->write(frame, said_);
  has_work_.raise();
}

void TunnelSession::has_something(StreamState& stream) {
  if (std::exchange(stream.has_turn, true)) return;
  turns_.push_back(find(stream.id));
  has_work_.raise();
}

bool TunnelSession::gather() {
  sending_.clear();
  std::swap(said_, sending_);
  const auto enough = sending_.bytes.size() + wire_->max_batch();
  while (!turns_.empty() && sending_.bytes.size() < enough) {
    const State stream = std::move(turns_.front());
    turns_.pop_front();
    if (!stream) continue;
    stream->has_turn = false;
    if (stream->hub) give_turn(*stream);
  }
  wire_->seal(sending_);
  return !sending_.ends.empty();
}

void TunnelSession::give_turn(StreamState& stream) {
  if (stream.has_pending) send_pending(stream);
  if (!stream.has_pending && stream.finish_wanted && !stream.finish_sent) send_end(stream);
}

void TunnelSession::send_pending(StreamState& stream) {
  const bool datagram = stream.transport == Transport::datagram;
  const auto cost = tunnel::cost_of(stream, stream.pending.size());
  // Without credit it has no turn, until there is some.
  if (stream.credit == 0 || (datagram && stream.credit < cost)) return;
  const auto size =
      datagram ? stream.pending.size() : std::min({stream.pending.size(), stream.credit, wire_->max_data()});
  wire_->write_data(stream.id, stream.transport, stream.pending.first(size), sending_);
  if (is_binary()) stream.credit -= tunnel::cost_of(stream, size);
  stream.pending = stream.pending.subspan(size);
  stream.has_pending = !stream.pending.empty();
  if (!stream.has_pending)
    stream.sent.raise();
  else
    has_something(stream);
}

void TunnelSession::send_end(StreamState& stream) {
  if (holds_close(stream)) return;
  stream.finish_sent = true;
  const auto what = is_binary() ? Type::finish : Type::close;
  wire_->write({.type = what, .stream = stream.id}, sending_);
  if (!is_binary()) stream.end();
  forget_if_done(stream);
}

// Whether the end is not told yet: in JSON it would be that of both ways.
bool TunnelSession::holds_close(StreamState& stream) {
  if (is_binary() || stream.far_asked || stream.far_finished || stream.gone) return false;
  if (!std::exchange(stream.close_held, true)) {
    stream.last_heard = Clock::now();
    half_closed_.push_back(find(stream.id));
    half_close_.raise();
  }
  return Clock::now() - stream.last_heard < half_close_grace;
}

Task<> TunnelSession::watch_half_closed() {
  for (;;) {
    while (half_closed_.empty()) co_await half_close_.wait();
    co_await sleep_for(half_close_look);
    std::erase_if(half_closed_, [this](const auto& held) {
      const auto stream = held.lock();
      if (!stream || !stream->hub || stream->finish_sent) return true;
      has_something(*stream);
      return false;
    });
  }
}

void TunnelSession::break_off(StreamState& stream) {
  say({.type = is_binary() ? Type::reset : Type::close, .stream = stream.id});
  forget(stream);
}

void TunnelSession::took(StreamState& stream) {
  if (!is_binary()) {
    drained_.raise();
  } else if (stream.unreported >= report_after && !stream.far_finished) {
    const auto more = static_cast<std::uint32_t>(std::exchange(stream.unreported, 0));
    say({.type = Type::credit, .stream = stream.id, .window = more});
  }
}

std::uint32_t TunnelSession::next_id() {
  // The server's are even, the client's odd; in JSON all are the server's.
  const std::uint32_t step = is_binary() ? 2 : 1;
  if (last_id_ == 0 && is_binary()) last_id_ = options_.role == Role::client ? ~0u : 0u;
  do last_id_ += step;
  while (last_id_ == 0 || streams_.contains(last_id_));
  return last_id_;
}

Task<Result<std::unique_ptr<Connection>>> TunnelSession::open(Frame asked, Transport transport) {
  if (!is_binary() && (asked.type == Type::open || transport == Transport::datagram))
    co_return Error{"the far side of the tunnel speaks JSON, which cannot carry this",
                    errno_code(EPROTONOSUPPORT)};
  if (ended_ || (goodbye_ && !when_idle_)) co_return Error{"the tunnel ended", errno_code(ECONNRESET)};
  const State stream = add(next_id(), transport);
  asked.stream = stream->id;
  asked.window = window;
  say(asked);
  if (!is_binary()) {
    stream->credit = std::numeric_limits<std::size_t>::max();
    co_return tunnel::connection_of(stream);
  }
  // Whoever does not wait for the answer any more tells the far side so.
  struct Asking {
    State stream;
    ~Asking() {
      if (stream && stream->hub) stream->hub->break_off(*stream);
      if (stream) stream->break_now();
    }
  } asking{stream};
  while (!stream->answer && !stream->broken) co_await stream->answered.wait();
  if (!stream->answer) co_return Error{"the tunnel's stream broke", errno_code(ECONNRESET)};
  if (!*stream->answer) co_return stream->answer->error();
  asking.stream.reset();
  co_return tunnel::connection_of(stream);
}

// ---- The streams.

TunnelSession::State TunnelSession::find(std::uint32_t id) const {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second;
}

TunnelSession::State TunnelSession::add(std::uint32_t id, Transport transport) {
  tunnel::StreamHub& hub = *this;
  return streams_[id] = std::make_shared<StreamState>(executor_, id, transport, hub, backlog_);
}

void TunnelSession::forget(StreamState& stream) {
  stream.hub = nullptr;
  const State last = find(stream.id);  // as long as this lasts
  keep_leftover(last);
  streams_.erase(stream.id);
  drained_.raise();
  if (goodbye_ && streams_.empty()) has_work_.raise();
}

void TunnelSession::forget_if_done(StreamState& stream) {
  if (stream.finish_sent && stream.far_finished) forget(stream);
}

}  // namespace nsrun
