#include "tests/support/catch.h"

#include "host/text/base64.h"
#include "host/tunnel/json_message.h"
#include "host/tunnel/session_limits.h"
#include "host/tunnel/wire.h"

// The JSON wire, byte for byte: fields in the order type, port, stream_id, data, error, local_addr; what is
// zero or empty is left out.

using namespace nsrun;
using namespace nsrun::tunnel;
using Type = Frame::Type;

namespace {

std::string json(const Frame& frame) {
  std::string text;
  write_json(frame, text);
  return text;
}

std::string data(std::uint32_t stream, std::string_view bytes) {
  std::string text;
  write_json_data(stream, as_bytes(bytes), text);
  return text;
}

Frame parsed_message(std::string_view text) {
  auto frame = parse_json(text);
  REQUIRE(frame.has_value());
  return std::move(*frame);
}

std::string said(Wire& wire, std::string_view message) {
  std::string trouble;
  (void)wire.read(
      as_bytes(message), true, [](Frame) {}, [&](const std::string& what) { trouble = what; });
  return trouble;
}

}  // namespace

TEST_CASE("each message of the JSON wire is written as the original writes it") {
  CHECK(json({.type = Type::listen, .port = 9000, .text = "localhost:3000"}) ==
        R"({"type":"listen","port":9000,"local_addr":"localhost:3000"})");
  CHECK(json({.type = Type::listen, .text = "localhost:3000"}) ==
        R"({"type":"listen","local_addr":"localhost:3000"})");
  CHECK(json({.type = Type::listen_ok, .port = 9000}) == R"({"type":"listen_ok","port":9000})");
  CHECK(
      json({.type = Type::listen_err,
            .port = 13001,
            .text = "listen tcp 127.0.0.1:13001: bind: address already in use"}) ==
      R"({"type":"listen_err","port":13001,"error":"listen tcp 127.0.0.1:13001: bind: address already in use"})");
  CHECK(json({.type = Type::connect, .stream = 1, .port = 9000}) ==
        R"({"type":"connect","port":9000,"stream_id":1})");
  CHECK(data(7, "hello") == R"({"type":"data","stream_id":7,"data":"aGVsbG8="})");
  CHECK(json({.type = Type::close, .stream = 7}) == R"({"type":"close","stream_id":7})");
  CHECK(json({.type = Type::ping}) == R"({"type":"ping"})");
  CHECK(json({.type = Type::pong}) == R"({"type":"pong"})");
}

TEST_CASE("what the JSON wire does not have is not written") {
  for (const auto type : {Type::open, Type::open_ok, Type::credit, Type::finish, Type::reset, Type::unlisten})
    CHECK(json({.type = type, .stream = 1}).empty());
}

TEST_CASE("each message of the JSON wire is read") {
  const auto listen = parsed_message(R"({"type":"listen","port":9000,"local_addr":"localhost:3000"})");
  CHECK((listen.type == Type::listen && listen.port == 9000 && listen.text == "localhost:3000"));
  const auto refused = parsed_message(R"({"type":"listen_err","port":80,"error":"no"})");
  CHECK((refused.type == Type::listen_err && refused.port == 80 && refused.text == "no"));
  const auto connect = parsed_message(R"({"type":"connect","port":9000,"stream_id":4294967295})");
  CHECK((connect.type == Type::connect && connect.port == 9000 && connect.stream == 4294967295));
  const auto some = parsed_message(R"({"type":"data","stream_id":7,"data":"aGVsbG8="})");
  CHECK((some.type == Type::data && some.stream == 7 && some.bytes == "hello"));
  CHECK(parsed_message(R"({"type":"listen_ok","port":1})").type == Type::listen_ok);
  CHECK(parsed_message(R"({"type":"close","stream_id":7})").stream == 7);
  CHECK(parsed_message(R"({"type":"ping"})").type == Type::ping);
  CHECK(parsed_message(R"({"type":"pong"})").type == Type::pong);
}

TEST_CASE("order, white space, unknown fields and null change nothing") {
  const auto some = parsed_message(
      " {\n\"data\": \"aGVsbG8=\", \"new\": [1, {}], \"stream_id\": 7,"
      "\"error\": null, \"type\": \"data\"}");
  CHECK((some.type == Type::data && some.stream == 7 && some.bytes == "hello"));
  CHECK(parsed_message(R"({"type":"hello","stream_id":7})").type == Type::none);
  CHECK(parsed_message("{}").type == Type::none);
}

TEST_CASE("a listen for a number that is not a port keeps it for the answer") {
  for (const std::int64_t number : {-1, 65'536, 99'999}) {
    const auto port = std::to_string(number);
    const auto listen =
        parsed_message(R"({"type":"listen","port":)" + port + R"(,"local_addr":"localhost:1"})");
    CHECK((listen.type == Type::listen && listen.port == 0 && listen.odd_port == number));
    CHECK(json({.type = Type::listen_err, .odd_port = number, .text = "no"}) ==
          R"({"type":"listen_err","port":)" + port + R"(,"error":"no"})");
  }
}

TEST_CASE("what is no such message is an error") {
  for (const char* text :
       {"", "{", "[]", "7", "\"ping\"", R"({"type":1})", R"({"type":"ping"} x)",
        R"({"type":"listen_ok","port":65536})", R"({"type":"connect","port":-1})",
        R"({"type":"listen","port":"80"})", R"({"type":"listen","port":18446744073709551615})",
        R"({"type":"close","stream_id":4294967296})", R"({"type":"data","stream_id":1,"data":"a"})",
        R"({"type":"data","stream_id":1,"data":"aGV=bG8="})", R"({"type":"data","stream_id":1,"data":7})"})
    CHECK(parse_json(text).has_error());
}

TEST_CASE("data of every length and byte comes back, by the quick way and by the parser's") {
  std::string bytes;
  for (int size = 0; size < 700; ++size, bytes += static_cast<char>(size * 37)) {
    const auto text = data(3, bytes);
    const bool quick = parsed_message(text).bytes == bytes;
    const bool slow = parsed_message(" " + text).bytes == bytes;
    CHECK((quick && slow));
  }
  const std::string large(40'000, '\xa5');
  CHECK(parsed_message(data(3, large)).bytes == large);
}

TEST_CASE("base64 is as RFC 4648 10 has it") {
  const std::pair<std::string_view, std::string_view> vectors[] = {{"", ""},
                                                                   {"f", "Zg=="},
                                                                   {"fo", "Zm8="},
                                                                   {"foo", "Zm9v"},
                                                                   {"foob", "Zm9vYg=="},
                                                                   {"fooba", "Zm9vYmE="},
                                                                   {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    CHECK(base64_encode(bytes) == text);
    CHECK(base64_decode(text) == bytes);
  }
  for (const char* text : {"Z", "Zg=", "Zg", "Z===", "====", "Zm9v\n", "Zm-_", "Zg==Zg=="})
    CHECK_FALSE(base64_decode(text).has_value());
}

TEST_CASE("a message of JSON that is too long ends the session before it is kept or parsed") {
  const std::string part(64 * 1024, ' ');
  for (const bool ends : {false, true}) {
    const auto wire = json_wire();
    std::size_t taken = 0;
    const auto read = [&](bool last) {
      return wire->read(
          as_bytes(part), last, [](Frame) {}, [](const std::string&) {});
    };
    while (taken < (1 << 20) && read(false)) taken += part.size();
    CHECK(taken == limits::max_message);
    CHECK(read(ends).has_error());
  }
  const std::string whole(limits::max_message + 1, ' ');
  CHECK(json_wire()
            ->read(
                as_bytes(whole), true, [](Frame) {}, [](const std::string&) {})
            .has_error());
}

TEST_CASE("a message of JSON may come in parts, and a bad one is passed over") {
  const auto wire = json_wire();
  std::vector<Frame> frames;
  const auto keep = [&](Frame frame) { frames.push_back(std::move(frame)); };
  const std::string text = data(9, "in parts");
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto read = wire->read(as_bytes(text).subspan(at, 1), at + 1 == text.size(), keep, {});
    REQUIRE(read.has_value());
  }
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].bytes == "in parts");
  CHECK(said(*wire, "{no").find("not a JSON object") != std::string::npos);
  CHECK(said(*wire, R"({"type":"unheard"})").empty());
  CHECK(wire->read(as_bytes(text), true, keep, {}).has_value());
  CHECK(frames.size() == 2);
}

TEST_CASE("each frame of JSON is a message of its own") {
  const auto wire = json_wire();
  Batch batch;
  wire->write({.type = Type::ping}, batch);
  wire->write_data(1, Transport::stream, as_bytes("x"), batch);
  wire->seal(batch);
  REQUIRE(batch.ends.size() == 2);
  CHECK(batch.bytes.substr(0, batch.ends[0]) == R"({"type":"ping"})");
  CHECK(batch.ends[1] == batch.bytes.size());
}
