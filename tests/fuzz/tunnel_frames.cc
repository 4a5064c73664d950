// What the far side of a tunnel can send in the binary wire: a message, in two parts cut by the first byte.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "host/tunnel/wire.h"

namespace {

using namespace nsrun;
using tunnel::Frame;

struct Heard {
  std::vector<Frame> frames;
  std::string data;
  bool fine = false;
};

Heard hear(Bytes message, std::size_t cut) {
  Heard heard;
  const auto wire = tunnel::binary_wire();
  const auto sink = [&](Frame frame) {
    if (frame.type == Frame::Type::data)
      heard.data += frame.bytes;
    else
      heard.frames.push_back(std::move(frame));
  };
  heard.fine = wire->read(message.first(cut), cut == message.size(), sink, {}).has_value();
  if (heard.fine && cut < message.size())
    heard.fine = wire->read(message.subspan(cut), true, sink, {}).has_value();
  return heard;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto message = std::as_bytes(std::span(data + 1, size - 1));
  const auto whole = hear(message, message.size()),
             cut = hear(message, std::min<std::size_t>(data[0], message.size() - 1));
  if (whole.fine != cut.fine) std::abort();
  if (whole.fine && (whole.frames.size() != cut.frames.size() || whole.data != cut.data)) std::abort();
  if (!whole.fine) return 0;
  tunnel::Batch batch;
  for (const auto& frame : whole.frames)
    if (frame.type != Frame::Type::datagram && frame.type != Frame::Type::none)
      tunnel::binary_wire()->write(frame, batch);
  const auto again = hear(as_bytes(batch.bytes), batch.bytes.size());
  if (!batch.bytes.empty() && !again.fine) std::abort();
  return 0;
}
