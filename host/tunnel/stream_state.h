#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "host/tunnel/frame.h"
#include "runtime/connection.h"

namespace nsrun::tunnel {

class StreamState;

// What all streams of a session hold that came and was not read yet. Shared with them: a stream whose end has
// come may be read for longer than its session knows it.
struct Backlog {
  explicit Backlog(Executor executor) : shrank(executor) {}
  std::size_t bytes = 0;
  bool awaited = false;  // the session waits for it to become smaller
  Signal shrank;
};

// What streams ask of the session that carries them.
class StreamHub {
 public:
  virtual void has_something(StreamState& stream) = 0;  // to send: it is to have its turn
  virtual void took(StreamState& stream) = 0;           // some of what had come was read
  virtual void break_off(StreamState& stream) = 0;      // the far side is to hear of it at once

 protected:
  ~StreamHub() = default;
};

// One stream of a tunnel, as its session and its Connection know it. They share it: either may go first.
class StreamState {
 public:
  StreamState(Executor executor, std::uint32_t number, Transport kind, StreamHub& session,
              std::shared_ptr<Backlog> all)
      : id(number),
        transport(kind),
        hub(&session),
        backlog(std::move(all)),
        arrived(executor),
        sent(executor),
        answered(executor) {}
  ~StreamState() { release(held); }
  StreamState(const StreamState&) = delete;

  const std::uint32_t id;
  const Transport transport;
  StreamHub* hub;          // null: the session has ended
  bool far_asked = false;  // the far side opened it

  // ---- From the far side.
  void take(std::string bytes);     // that it sent
  void end();                       // it sends no more
  void break_now();                 // it broke off, or the session ended
  void release(std::size_t bytes);  // of those held
  std::deque<std::string> pieces;
  std::size_t front_read = 0;  // bytes of the first piece that were read
  std::size_t held = 0;        // bytes, with piece_cost for each piece; part of the backlog
  const std::shared_ptr<Backlog> backlog;
  Clock::time_point last_read;  // or since when there is something to read
  std::size_t unreported = 0;   // of credit: bytes read since the far side last got some
  bool far_finished = false, broken = false;
  bool gone = false;    // nobody reads: the Connection was destroyed
  bool closed = false;  // JSON: the far side closed both ways
  Clock::time_point last_heard = Clock::now();

  // ---- To the far side.
  Bytes pending;             // what a write waits to have sent
  bool has_pending = false;  // a datagram may be empty
  std::size_t credit = 0;    // bytes that may be sent
  bool finish_wanted = false, finish_sent = false;
  bool has_turn = false;    // it waits for its turn to send
  bool close_held = false;  // JSON: the end is not told yet, for it would be that of both ways

  // ---- Of one that we asked for.
  std::optional<Result<void>> answer;

  Signal arrived, sent, answered;
};

// What a piece or a datagram counts for beside its bytes, so that empty ones are bounded too.
constexpr std::size_t piece_cost = 64;

// What of the credit these bytes take.
inline std::size_t cost_of(const StreamState& stream, std::size_t bytes) {
  return stream.transport == Transport::datagram ? bytes + piece_cost : bytes;
}

// The end of a stream that flows are relayed to.
std::unique_ptr<Connection> connection_of(std::shared_ptr<StreamState> stream);

}  // namespace nsrun::tunnel
