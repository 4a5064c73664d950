// The binary wire: a message of the subprotocol holds one or more frames, each whole.
//
//   type (8 bits) | length of the body (24) | stream or listener (32) | body       numbers: big endian
//
// Data is passed on as it comes, in parts that are worth it, so that a large frame is never held whole; every
// other body is gathered first, and has a limit.

#include <algorithm>
#include <utility>

#include "host/tunnel/wire.h"

namespace nsrun::tunnel {
namespace {

using Type = Frame::Type;

constexpr std::size_t head_size = 8;
constexpr std::size_t max_body = 65'535;             // bytes, of all but data: the largest datagram
constexpr std::size_t max_binary_data = 256 * 1024;  // bytes: what we put into one frame
constexpr std::size_t max_binary_batch = 256 * 1024;
// Bytes of data that are passed on before their frame has come whole. Beast gives what came with a message's
// head first, 1.5 KiB, and the rest with the next read: to pass it on by itself is a second write for each.
constexpr std::size_t min_part = 4096;

void put(std::string& to, std::uint32_t value, int bytes) {
  while (bytes-- > 0) to += static_cast<char>(value >> (8 * bytes));
}

std::uint32_t number(std::string_view bytes) {
  std::uint32_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<std::uint8_t>(byte);
  return value;
}

std::string body_of(const Frame& frame) {
  std::string body;
  switch (frame.type) {
    case Type::listen:
      put(body, frame.port, 2);
      put(body, frame.protocol == Protocol::udp, 1);
      return body + frame.text;
    case Type::listen_ok:
      put(body, frame.port, 2);
      return body;
    case Type::listen_err:
      return frame.text;
    case Type::connect:
      put(body, frame.window, 4);
      put(body, frame.listener, 4);
      put(body, frame.protocol == Protocol::udp, 1);
      return body + frame.text;
    case Type::open:
      put(body, frame.window, 4);
      return body + frame.text;
    case Type::open_ok:
    case Type::credit:
      put(body, frame.window, 4);
      return body;
    case Type::open_err:
      put(body, static_cast<std::uint8_t>(frame.reason), 1);
      return body + frame.text;
    default:
      return body;
  }
}

Protocol protocol(char byte) { return byte == 1 ? Protocol::udp : Protocol::tcp; }

bool is_about_listener(Type type) { return type >= Type::listen && type <= Type::unlisten; }

// The length of what a body begins with, before its text.
std::size_t fixed_part(Type type) {
  switch (type) {
    case Type::listen:
      return 3;
    case Type::listen_ok:
      return 2;
    case Type::connect:
      return 9;
    case Type::open:
    case Type::open_ok:
    case Type::credit:
      return 4;
    case Type::open_err:
      return 1;
    default:
      return 0;
  }
}

void take_body(Frame& frame, std::string body) {
  const std::string_view all = body;
  switch (frame.type) {
    case Type::listen:
      frame.port = static_cast<std::uint16_t>(number(all.substr(0, 2)));
      frame.protocol = protocol(all[2]);
      break;
    case Type::listen_ok:
      frame.port = static_cast<std::uint16_t>(number(all.substr(0, 2)));
      break;
    case Type::connect:
      frame.window = number(all.substr(0, 4));
      frame.listener = number(all.substr(4, 4));
      frame.protocol = protocol(all[8]);
      break;
    case Type::open:
    case Type::open_ok:
    case Type::credit:
      frame.window = number(all.substr(0, 4));
      break;
    case Type::open_err:
      frame.reason = static_cast<std::uint8_t>(all[0]) <= static_cast<std::uint8_t>(Reason::unsupported)
                         ? static_cast<Reason>(all[0])
                         : Reason::failed;
      break;
    case Type::datagram:
      frame.bytes = std::move(body);
      return;
    default:
      break;
  }
  frame.text = body.substr(fixed_part(frame.type));
}

Error broken(std::string what) {
  return {"the far side of the tunnel breaks its protocol: " + what, errno_code(EPROTO)};
}

class BinaryWire final : public Wire {
 public:
  bool is_binary() const override { return true; }
  std::size_t max_data() const override { return max_binary_data; }
  std::size_t max_batch() const override { return max_binary_batch; }

  void write(const Frame& frame, Batch& to) const override {
    const std::string body = body_of(frame);
    head(frame.type, body.size(), is_about_listener(frame.type) ? frame.listener : frame.stream, to);
    to.bytes += body;
  }
  void write_data(std::uint32_t stream, Transport transport, Bytes bytes, Batch& to) const override {
    head(transport == Transport::stream ? Type::data : Type::datagram, bytes.size(), stream, to);
    to.bytes.append(as_text(bytes));
  }
  void seal(Batch& batch) const override {
    if (!batch.bytes.empty()) batch.ends.push_back(batch.bytes.size());
  }
  Result<void> read(Bytes part, bool message_ends, const FrameSink& sink,
                    const std::function<void(std::string)>& trouble) override;

 private:
  static void head(Type type, std::size_t length, std::uint32_t about, Batch& to) {
    put(to.bytes, static_cast<std::uint8_t>(type), 1);
    put(to.bytes, static_cast<std::uint32_t>(length), 3);
    put(to.bytes, about, 4);
  }
  Result<void> take_head();
  void take_data(std::string_view& part, const FrameSink& sink);
  void end_frame(const FrameSink& sink);

  std::string head_;      // as far as it came
  std::string body_;      // what was not passed on yet; of all but data the whole
  Frame frame_;           // whose body is under way
  std::size_t left_ = 0;  // bytes of it that are still to come
  bool in_body_ = false;
};

Result<void> BinaryWire::take_head() {
  const std::string_view head = head_;
  frame_ = {};
  frame_.type = static_cast<Type>(head[0]);
  left_ = number(head.substr(1, 3));
  (is_about_listener(frame_.type) ? frame_.listener : frame_.stream) = number(head.substr(4, 4));
  head_.clear();
  in_body_ = true;
  if (frame_.type != Type::data && left_ > max_body)
    return broken("a frame of " + std::to_string(left_) + " bytes");
  if (left_ < fixed_part(frame_.type)) return broken("a frame is too short");
  return {};
}

void BinaryWire::take_data(std::string_view& part, const FrameSink& sink) {
  const auto more = std::min(left_, part.size());
  body_.append(part.substr(0, more));
  part.remove_prefix(more);
  left_ -= more;
  if (body_.empty() || (left_ > 0 && body_.size() < min_part)) return;
  Frame some = frame_;
  some.bytes = std::exchange(body_, {});
  sink(std::move(some));
}

void BinaryWire::end_frame(const FrameSink& sink) {
  in_body_ = false;
  if (frame_.type == Type::data) return;
  take_body(frame_, std::move(body_));
  body_.clear();
  // What later versions may say is passed over.
  if (frame_.type <= Type::pong) sink(std::move(frame_));
}

Result<void> BinaryWire::read(Bytes bytes, bool message_ends, const FrameSink& sink,
                              const std::function<void(std::string)>&) {
  std::string_view part = as_text(bytes);
  while (!part.empty()) {
    if (!in_body_) {
      const auto more = std::min(head_size - head_.size(), part.size());
      head_.append(part.substr(0, more));
      part.remove_prefix(more);
      if (head_.size() < head_size) break;
      if (auto taken = take_head(); !taken) return taken;
    }
    if (frame_.type == Type::data) {
      take_data(part, sink);
    } else {
      const auto more = std::min(left_, part.size());
      body_.append(part.substr(0, more));
      part.remove_prefix(more);
      left_ -= more;
    }
    if (left_ == 0) end_frame(sink);
  }
  if (message_ends && (in_body_ || !head_.empty())) return broken("a message ends within a frame");
  return {};
}

}  // namespace

std::unique_ptr<Wire> binary_wire() { return std::make_unique<BinaryWire>(); }

}  // namespace nsrun::tunnel
