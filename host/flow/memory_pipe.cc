// A connected pair in memory.
//
// Each direction is a Lane: a queue of pieces with a bound on its bytes. On a datagram lane a piece is a
// datagram; on a stream the boundaries mean nothing. Both ends share both lanes, so either may go first.
//
//   finish()  the lane's writer is done: the reader drains the queue, then sees the end
//   gone      the lane's reader was destroyed: queued bytes are lost, writes fail with EPIPE
//   reset()   both lanes break: queues are lost, every read and write fails with ECONNRESET
//
// At most one reader and one writer wait on a lane (Connection's contract), so a Signal each suffices.

#include "host/flow/memory_pipe.h"

#include "runtime/datagram_source.h"

#include <algorithm>
#include <deque>
#include <vector>

namespace nsrun {
namespace {

// What an empty datagram counts for, so that they are bounded too.
constexpr std::size_t pipe_piece_cost = 64;  // bytes

struct Lane {
  Lane(Executor executor, std::size_t capacity_) : capacity(capacity_), filled(executor), drained(executor) {}

  bool has_room(std::size_t bytes) const {
    return pieces.empty() || held + bytes + pipe_piece_cost <= capacity;
  }
  void push(Bytes bytes) {
    held += bytes.size() + pipe_piece_cost;
    pieces.emplace_back(bytes.begin(), bytes.end());
    filled.raise();
  }
  void pop() {
    held -= pieces.front().size() + pipe_piece_cost;
    pieces.pop_front();
    front_read = 0;
    drained.raise();
  }
  void drop_all() {
    pieces.clear();
    held = front_read = 0;
    filled.raise();
    drained.raise();
  }

  const std::size_t capacity;  // bytes, pipe_piece_cost included
  std::deque<std::vector<std::byte>> pieces;
  std::size_t held = 0;        // bytes, pipe_piece_cost included
  std::size_t front_read = 0;  // bytes of the first piece already read (streams)
  bool finished = false, gone = false, broken = false;
  Signal filled, drained;
};

class MemoryEnd final : public Connection, public DatagramSource {
 public:
  MemoryEnd(Transport transport, std::shared_ptr<Lane> incoming, std::shared_ptr<Lane> outgoing)
      : transport_(transport), incoming_(std::move(incoming)), outgoing_(std::move(outgoing)) {}
  ~MemoryEnd() override {
    incoming_->gone = true;
    incoming_->drop_all();
    finish();
  }

  Transport transport() const override { return transport_; }
  Task<> datagram_ready() override;
  Task<Result<Chunk>> read(MutableBytes into) override;
  Task<Result<void>> write(Bytes bytes) override;
  void finish() override {
    outgoing_->finished = true;
    outgoing_->filled.raise();
  }
  void reset() override {
    for (Lane* lane : {incoming_.get(), outgoing_.get()}) {
      lane->broken = true;
      lane->drop_all();
    }
  }

 private:
  const Transport transport_;
  std::shared_ptr<Lane> incoming_, outgoing_;
};

Task<> MemoryEnd::datagram_ready() {
  Lane& lane = *incoming_;
  while (!lane.broken && lane.pieces.empty() && !lane.finished) co_await lane.filled.wait();
}

Task<Result<Chunk>> MemoryEnd::read(MutableBytes into) {
  Lane& lane = *incoming_;
  co_await datagram_ready();
  if (lane.broken) co_return Error{"the connection broke while reading", errno_code(ECONNRESET)};
  if (lane.pieces.empty()) co_return Chunk{0, true};

  const auto rest = Bytes(lane.pieces.front()).subspan(lane.front_read);
  const auto size = std::min(rest.size(), into.size());
  std::copy_n(rest.begin(), size, into.begin());
  lane.front_read += size;
  if (transport_ == Transport::datagram || size == rest.size()) lane.pop();
  co_return Chunk{size, false};
}

Task<Result<void>> MemoryEnd::write(Bytes bytes) {
  Lane& lane = *outgoing_;
  do {
    const bool stream = transport_ == Transport::stream;
    const auto piece = bytes.first(stream ? std::min(bytes.size(), lane.capacity / 4) : bytes.size());
    while (!lane.broken && !lane.gone && !lane.has_room(piece.size())) co_await lane.drained.wait();
    if (lane.broken) co_return Error{"the connection broke while writing", errno_code(ECONNRESET)};
    if (lane.gone || lane.finished) co_return Error{"nobody reads any more", errno_code(EPIPE)};
    // An empty piece would look like nothing to a stream's reader.
    if (!stream || !piece.empty()) lane.push(piece);
    bytes = bytes.subspan(piece.size());
  } while (!bytes.empty());
  co_return Result<void>{};
}

}  // namespace

std::pair<std::unique_ptr<Connection>, std::unique_ptr<Connection>> memory_pipe(Executor executor,
                                                                                Transport transport,
                                                                                std::size_t capacity) {
  const auto there = std::make_shared<Lane>(executor, capacity);
  const auto back = std::make_shared<Lane>(executor, capacity);
  return {std::make_unique<MemoryEnd>(transport, back, there),
          std::make_unique<MemoryEnd>(transport, there, back)};
}

}  // namespace nsrun
