#include "tests/support/catch.h"

#include "host/tunnel/wire.h"

// The binary wire, byte for byte, as docs/tunnel.md has it.

using namespace nsrun;
using namespace nsrun::tunnel;
using namespace std::string_literals;
using Type = Frame::Type;

namespace {

std::string written(const Frame& frame) {
  Batch batch;
  binary_wire()->write(frame, batch);
  return batch.bytes;
}

// All frames of one message, given in pieces of this size.
Result<std::vector<Frame>> read(const std::string& message, std::size_t piece = 1 << 20) {
  const auto wire = binary_wire();
  std::vector<Frame> frames;
  const auto keep = [&](Frame frame) { frames.push_back(std::move(frame)); };
  for (std::size_t at = 0; at < message.size(); at += piece) {
    const auto part = as_bytes(message).subspan(at, std::min(piece, message.size() - at));
    if (auto done = wire->read(part, at + piece >= message.size(), keep, {}); !done) return done.error();
  }
  return frames;
}

Frame only(const std::string& message, std::size_t piece = 1 << 20) {
  auto frames = read(message, piece);
  REQUIRE(frames.has_value());
  REQUIRE(frames->size() == 1);
  return std::move(frames->front());
}

struct Known {
  Frame frame;
  std::string bytes;
};

const Known known[] = {
    {{.type = Type::listen, .listener = 1, .port = 9000, .text = "localhost:3000"},
     "\x01\x00\x00\x11\x00\x00\x00\x01\x23\x28\x00localhost:3000"s},
    {{.type = Type::listen, .listener = 2, .port = 53, .protocol = Protocol::udp},
     "\x01\x00\x00\x03\x00\x00\x00\x02\x00\x35\x01"s},
    {{.type = Type::listen_ok, .listener = 1, .port = 9000}, "\x02\x00\x00\x02\x00\x00\x00\x01\x23\x28"s},
    {{.type = Type::listen_err, .listener = 1, .text = "no"}, "\x03\x00\x00\x02\x00\x00\x00\x01no"s},
    {{.type = Type::unlisten, .listener = 1}, "\x04\x00\x00\x00\x00\x00\x00\x01"s},
    {{.type = Type::connect, .stream = 2, .listener = 1, .window = 1 << 20, .text = "127.0.0.1:5"},
     "\x05\x00\x00\x14\x00\x00\x00\x02\x00\x10\x00\x00\x00\x00\x00\x01\x00"
     "127.0.0.1:5"s},
    {{.type = Type::open, .stream = 3, .window = 1 << 20, .text = "tcp/example.org:80"},
     "\x06\x00\x00\x16\x00\x00\x00\x03\x00\x10\x00\x00tcp/example.org:80"s},
    {{.type = Type::open_ok, .stream = 3, .window = 258},
     "\x07\x00\x00\x04\x00\x00\x00\x03\x00\x00\x01\x02"s},
    {{.type = Type::open_err, .stream = 3, .reason = Reason::timed_out, .text = "late"},
     "\x08\x00\x00\x05\x00\x00\x00\x03\x05late"s},
    {{.type = Type::credit, .stream = 3, .window = 7}, "\x0b\x00\x00\x04\x00\x00\x00\x03\x00\x00\x00\x07"s},
    {{.type = Type::finish, .stream = 0x01020304}, "\x0c\x00\x00\x00\x01\x02\x03\x04"s},
    {{.type = Type::reset, .stream = 3}, "\x0d\x00\x00\x00\x00\x00\x00\x03"s},
    {{.type = Type::ping}, "\x0e\x00\x00\x00\x00\x00\x00\x00"s},
    {{.type = Type::pong}, "\x0f\x00\x00\x00\x00\x00\x00\x00"s},
};

}  // namespace

TEST_CASE("each frame is written and read byte for byte, whole and in parts") {
  for (const auto& [frame, bytes] : known) {
    CHECK(written(frame) == bytes);
    for (const std::size_t piece : {std::size_t{1 << 20}, std::size_t{1}, std::size_t{3}}) {
      const auto back = only(bytes, piece);
      const bool same = back.type == frame.type && back.stream == frame.stream &&
                        back.listener == frame.listener && back.port == frame.port &&
                        back.window == frame.window && back.protocol == frame.protocol &&
                        back.reason == frame.reason && back.text == frame.text;
      CHECK(same);
    }
  }
}

TEST_CASE("data is passed on as it comes, but for a small beginning, which goes with what follows") {
  Batch batch;
  std::string large(20'000, '.');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i % 251);
  binary_wire()->write_data(3, Transport::stream, as_bytes(large), batch);
  const auto sizes_in = [&](std::size_t piece) {
    const auto parts = read(batch.bytes, piece);
    std::vector<std::size_t> sizes;
    std::string joined;
    for (const auto& part : parts.value()) {
      sizes.push_back(part.bytes.size());
      joined += part.bytes;
    }
    CHECK(joined == large);
    return sizes;
  };
  CHECK(sizes_in(5008) == std::vector<std::size_t>{5000, 5008, 5008, 4984});
  CHECK(sizes_in(1508) == std::vector<std::size_t>{4516, 4524, 4524, 4524, 1912});
}

TEST_CASE("a frame of data is written byte for byte, and a datagram is passed on whole") {
  Batch batch;
  const auto wire = binary_wire();
  wire->write_data(3, Transport::stream, as_bytes("some bytes"), batch);
  CHECK(batch.bytes == "\x09\x00\x00\x0a\x00\x00\x00\x03some bytes"s);
  CHECK(only(batch.bytes, 12).bytes == "some bytes");
  batch.clear();
  wire->write_data(3, Transport::datagram, as_bytes("some bytes"), batch);
  CHECK(only(batch.bytes, 12).bytes == "some bytes");
  batch.clear();
  wire->write_data(3, Transport::datagram, {}, batch);
  CHECK(only(batch.bytes).type == Type::datagram);
}

TEST_CASE("a message holds several frames, each whole") {
  std::string all;
  for (const auto& [frame, bytes] : known) all += bytes;
  CHECK(read(all)->size() == std::size(known));
  CHECK(read(all.substr(0, all.size() - 1)).has_error());
  CHECK(read(known[0].bytes.substr(0, 20)).has_error());
}

TEST_CASE("frames of a later version are passed over; what is too long or too short is an error") {
  CHECK(read("\x63\x00\x00\x02\x00\x00\x00\x01??"s)->empty());
  CHECK(read("\x06\x01\x00\x00\x00\x00\x00\x03"s).has_error());
  CHECK(read("\x07\x00\x00\x03\x00\x00\x00\x03\x00\x00\x01"s).has_error());
  CHECK(only("\x08\x00\x00\x01\x00\x00\x00\x03\x7f"s).reason == Reason::failed);
}
