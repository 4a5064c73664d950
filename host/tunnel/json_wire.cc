#include "host/tunnel/json_message.h"
#include "host/tunnel/session_limits.h"
#include "host/tunnel/wire.h"

namespace nsrun::tunnel {
namespace {

constexpr std::size_t max_json_data = 32'768;       // bytes: what the original puts into one message
constexpr std::size_t max_json_batch = 128 * 1024;  // bytes of streams

class JsonWire final : public Wire {
 public:
  bool is_binary() const override { return false; }
  std::size_t max_data() const override { return max_json_data; }
  std::size_t max_batch() const override { return max_json_batch; }

  void write(const Frame& frame, Batch& to) const override {
    write_json(frame, to.bytes);
    to.ends.push_back(to.bytes.size());
  }
  void write_data(std::uint32_t stream, Transport, Bytes bytes, Batch& to) const override {
    write_json_data(stream, bytes, to.bytes);
    to.ends.push_back(to.bytes.size());
  }
  void seal(Batch&) const override {}

  Result<void> read(Bytes part, bool message_ends, const FrameSink& sink,
                    const std::function<void(std::string)>& trouble) override {
    const bool whole = message_ends && message_.empty();
    if (message_.size() + part.size() > limits::max_message)
      return Error{"the far side of the tunnel sends a message that is too long", errno_code(EMSGSIZE)};
    if (!whole) message_.append(as_text(part));
    if (!message_ends) return {};
    auto frame = parse_json(whole ? as_text(part) : message_);
    message_.clear();
    if (!frame)
      trouble(frame.error().message());
    else if (frame->type != Frame::Type::none)
      sink(std::move(*frame));
    return {};
  }

 private:
  std::string message_;  // as far as it came
};

}  // namespace

std::unique_ptr<Wire> json_wire() { return std::make_unique<JsonWire>(); }

}  // namespace nsrun::tunnel
