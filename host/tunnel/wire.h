#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "host/tunnel/frame.h"
#include "runtime/bytes.h"

namespace nsrun::tunnel {

// WebSocket messages to be sent: where in `bytes` each ends.
struct Batch {
  std::string bytes;
  std::vector<std::size_t> ends;
  void clear() {
    bytes.clear();
    ends.clear();
  }
};

using FrameSink = std::function<void(Frame)>;

// How frames are put into WebSocket messages and taken out. Knows nothing of sockets.
class Wire {
 public:
  virtual ~Wire() = default;
  virtual bool is_binary() const = 0;         // frames of our own, with credit; else JSON
  virtual std::size_t max_data() const = 0;   // bytes of one data frame
  virtual std::size_t max_batch() const = 0;  // bytes of streams that are sent at once

  // Appends a frame that is not data.
  virtual void write(const Frame& frame, Batch& to) const = 0;
  // Appends data or a datagram of a stream.
  virtual void write_data(std::uint32_t stream, Transport transport, Bytes bytes, Batch& to) const = 0;
  // Nothing more is appended to this batch.
  virtual void seal(Batch& batch) const = 0;

  // Takes part of a message that came. An error: the far side breaks the wire's rules. `trouble` hears of
  // what is passed over.
  virtual Result<void> read(Bytes part, bool message_ends, const FrameSink& sink,
                            const std::function<void(std::string)>& trouble) = 0;
};

std::unique_ptr<Wire> json_wire();
std::unique_ptr<Wire> binary_wire();

}  // namespace nsrun::tunnel
