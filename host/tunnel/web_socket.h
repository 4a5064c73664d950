#pragma once

#include <cstdint>
#include <string>

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
  // Says goodbye, and waits for the answer; reads end meanwhile.
  virtual Task<> close(std::uint16_t code, std::string reason) = 0;
  // Ends it at once: reads and writes under way fail.
  virtual void abort() = 0;
};

}  // namespace nsrun
