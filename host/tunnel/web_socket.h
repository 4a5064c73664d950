#pragma once

#include <cstdint>
#include <string>

#include "host/tunnel/tcp_info.h"
#include "runtime/bytes.h"
#include "runtime/result.h"
#include "runtime/task.h"

namespace nsrun {

// An open WebSocket, whoever made it. One read and one write at a time.
class WebSocket {
 public:
  static constexpr std::uint16_t normal = 1000, going_away = 1001, protocol_error = 1002;  // RFC 6455 7.4.1

  virtual ~WebSocket() = default;

  struct Part {
    std::size_t size = 0;       // bytes put into the caller's buffer
    bool message_ends = false;  // with these
  };
  // Part of a message, text or binary. An error: it has ended; asio::error::eof where it was closed as it
  // should be, with the far side's words in `doing`.
  virtual Task<Result<Part>> read(MutableBytes into) = 0;
  // One message.
  virtual Task<Result<void>> write(Bytes message, bool binary) = 0;
  // What shows that the far side lives, beside what is read.
  struct Life {
    std::uint64_t acknowledged = 0;    // bytes that its kernel has acknowledged since the connection was made
    bool unacknowledged = false;       // bytes that were written wait for that
    std::uint64_t control_frames = 0;  // that came: pings, pongs
  };
  virtual Life life() { return {}; }
  virtual TcpPath path() { return TcpPath::same; }
  // Asks the far side for a control frame (RFC 6455 5.5.2). Not at the same time as close.
  virtual Task<Result<void>> ping() = 0;
  // Says goodbye, and waits for the answer; reads end meanwhile.
  virtual Task<> close(std::uint16_t code, std::string reason) = 0;
  // Ends it at once: reads and writes under way fail.
  virtual void abort() = 0;
};

}  // namespace nsrun
