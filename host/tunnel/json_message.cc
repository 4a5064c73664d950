#include "host/tunnel/json_message.h"

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>

#include "host/text/base64.h"

namespace nsrun::tunnel {
namespace {

using Type = Frame::Type;

struct Word {
  std::string_view text;
  Type type;
};
constexpr std::array words = {
    Word{"listen", Type::listen},   Word{"listen_ok", Type::listen_ok}, Word{"listen_err", Type::listen_err},
    Word{"connect", Type::connect}, Word{"data", Type::data},           Word{"close", Type::close},
    Word{"ping", Type::ping},       Word{"pong", Type::pong},
};

constexpr std::string_view data_begin = R"({"type":"data","stream_id":)";
constexpr std::string_view data_middle = R"(,"data":")";
constexpr std::string_view data_end = R"("})";

Error wrong(std::string what) { return {"a message of the tunnel is wrong: " + what, errno_code(EPROTO)}; }

void add_text(std::string& to, std::string_view field, const std::string& text) {
  if (text.empty()) return;
  to += ",\"" + std::string(field) + "\":" + boost::json::serialize(boost::json::string(text));
}

// Data as we, and most others, write it: nearly all that goes through a tunnel. Everything else is left to a
// parser.
bool parse_plain_data(std::string_view text, Frame& frame) {
  if (!text.starts_with(data_begin) || !text.ends_with(data_end)) return false;
  text.remove_prefix(data_begin.size());
  text.remove_suffix(data_end.size());
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), frame.stream);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (error != std::errc{} || !text.starts_with(data_middle)) return false;
  text.remove_prefix(data_middle.size());
  auto bytes = base64_decode(text);
  if (!bytes) return false;
  frame.type = Type::data;
  frame.bytes = std::move(*bytes);
  return true;
}

using Object = boost::json::object;

Result<std::uint64_t> number(const Object& object, std::string_view field, std::uint64_t most) {
  const auto* value = object.if_contains({field.data(), field.size()});
  if (!value || value->is_null()) return 0;
  if (value->is_int64() && value->get_int64() >= 0 && static_cast<std::uint64_t>(value->get_int64()) <= most)
    return static_cast<std::uint64_t>(value->get_int64());
  return wrong(std::string(field) + " is not a number from 0 to " + std::to_string(most));
}

Result<std::string> text(const Object& object, std::string_view field) {
  const auto* value = object.if_contains({field.data(), field.size()});
  if (!value || value->is_null()) return {boost::system::in_place_value, ""};
  if (value->is_string())
    return {boost::system::in_place_value, value->get_string().c_str(), value->get_string().size()};
  return wrong(std::string(field) + " is not a text");
}

// A port that cannot be listened at is answered, with its number.
bool take_odd_port(const Object& object, Frame& frame) {
  const auto* value = object.if_contains("port");
  if (frame.type != Type::listen || !value || !value->is_int64()) return false;
  const auto port = value->get_int64();
  if (port < 0 || port > 0xffff) frame.odd_port = port;
  return frame.odd_port != 0;
}

Result<void> take_numbers(const Object& object, Frame& frame) {
  if (take_odd_port(object, frame)) return {};
  const auto port = number(object, "port", 0xffff);
  if (!port) return port.error();
  const auto stream = number(object, "stream_id", 0xffff'ffff);
  if (!stream) return stream.error();
  frame.port = static_cast<std::uint16_t>(*port);
  frame.stream = static_cast<std::uint32_t>(*stream);
  return {};
}

Result<void> take_texts(const Object& object, Frame& frame) {
  auto said = text(object, frame.type == Type::listen_err ? "error" : "local_addr");
  if (!said) return said.error();
  frame.text = std::move(*said);
  const auto data = text(object, "data");
  if (!data) return data.error();
  auto bytes = base64_decode(*data);
  if (!bytes) return wrong("data is not base64");
  frame.bytes = std::move(*bytes);
  return {};
}

}  // namespace

void write_json(const Frame& frame, std::string& to) {
  const auto word = std::ranges::find(words, frame.type, &Word::type);
  if (word == words.end()) return;
  to += R"({"type":")" + std::string(word->text) + '"';
  if (const auto port = frame.odd_port ? frame.odd_port : frame.port)
    to += ",\"port\":" + std::to_string(port);
  if (frame.stream) to += ",\"stream_id\":" + std::to_string(frame.stream);
  if (frame.type == Type::listen_err) add_text(to, "error", frame.text);
  if (frame.type == Type::listen) add_text(to, "local_addr", frame.text);
  to += '}';
}

void write_json_data(std::uint32_t stream, Bytes bytes, std::string& to) {
  to += data_begin;
  to += std::to_string(stream);
  to += data_middle;
  base64_append(to, as_text(bytes));
  to += data_end;
}

Result<Frame> parse_json(std::string_view message) {
  Frame frame;
  if (parse_plain_data(message, frame)) return frame;
  boost::system::error_code error;
  const auto value = boost::json::parse({message.data(), message.size()}, error);
  if (error || !value.is_object()) return wrong("it is not a JSON object");
  const Object& object = value.get_object();
  const auto type = text(object, "type");
  if (!type) return type.error();
  const auto word = std::ranges::find(words, *type, &Word::text);
  frame = {};
  if (word == words.end()) return frame;
  frame.type = word->type;
  if (auto taken = take_numbers(object, frame); !taken) return taken.error();
  if (auto taken = take_texts(object, frame); !taken) return taken.error();
  return frame;
}

}  // namespace nsrun::tunnel
