// What the far side of a tunnel can send in JSON, one message.

#include <cstdint>
#include <cstdlib>

#include "host/tunnel/json_message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nsrun;
  const auto frame = tunnel::parse_json(as_text(std::as_bytes(std::span(data, size))));
  if (!frame || frame->type == tunnel::Frame::Type::none) return 0;
  // What was understood is understood again as it would be written.
  std::string text;
  if (frame->type == tunnel::Frame::Type::data)
    tunnel::write_json_data(frame->stream, as_bytes(frame->bytes), text);
  else
    tunnel::write_json(*frame, text);
  const auto again = tunnel::parse_json(text);
  if (!again || again->type != frame->type) std::abort();
  if (frame->type == tunnel::Frame::Type::data && again->bytes != frame->bytes) std::abort();
  return 0;
}
