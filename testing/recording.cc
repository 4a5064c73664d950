#include "testing/recording.h"

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "host/text/base64.h"

namespace nsrun::testing {
namespace {

namespace json = boost::json;

constexpr std::string_view format = "nsrun session 1";
constexpr std::string_view end_of_head = "\r\n\r\n";

bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c >= ' ' && c < 0x7f) || c == '\n' || c == '\r' || c == '\t';
  });
}

// ---- writing

void put_bytes(json::object& into, std::string_view name, std::string_view bytes) {
  if (is_plain(bytes))
    into[name] = bytes;
  else
    into[std::string(name) + "_base64"] = base64_encode(bytes);
}

json::object message_of(std::string_view bytes) {
  const auto end = bytes.find(end_of_head);
  const auto body = end == bytes.npos ? bytes.size() : end + end_of_head.size();
  json::object message;
  put_bytes(message, "head", bytes.substr(0, body));
  if (body < bytes.size()) put_bytes(message, "body", bytes.substr(body));
  return message;
}

json::object object_of(const RecordedFlow& flow) {
  json::object object{{"protocol", to_string(flow.protocol)}, {"host", flow.host}, {"port", flow.port}};
  if (flow.tls) object["tls"] = true;
  if (flow.refused) object["refused"] = true;
  for (const auto& exchange : flow.exchanges) {
    if (!object.contains("exchanges")) object["exchanges"] = json::array();
    json::object one{{"request", message_of(exchange.request)}, {"response", message_of(exchange.response)}};
    if (exchange.closes) one["closes"] = true;
    object["exchanges"].as_array().push_back(std::move(one));
  }
  for (const auto& piece : flow.pieces) {
    if (!object.contains("pieces")) object["pieces"] = json::array();
    json::object one;
    put_bytes(one, piece.up ? "up" : "down", piece.bytes);
    object["pieces"].as_array().push_back(std::move(one));
  }
  return object;
}

// Boost.JSON writes everything on one line.
void print(std::string& out, const json::value& value, const std::string& indent) {
  const std::string deeper = indent + "  ";
  const char* separator = "\n";
  if (const auto* object = value.if_object(); object && !object->empty()) {
    out += "{";
    for (const auto& [key, member] : *object) {
      out += separator + deeper + json::serialize(json::value(key)) + ": ";
      print(out, member, deeper);
      separator = ",\n";
    }
    out += "\n" + indent + "}";
  } else if (const auto* array = value.if_array(); array && !array->empty()) {
    out += "[";
    for (const auto& element : *array) {
      out += separator + deeper;
      print(out, element, deeper);
      separator = ",\n";
    }
    out += "\n" + indent + "]";
  } else {
    out += json::serialize(value);
  }
}

// ---- reading; what does not fit throws system_error or invalid_argument

[[noreturn]] void reject(const std::string& what) { throw ErrorException({what}); }

std::string bytes_of(const json::object& object, std::string_view name) {
  if (const auto* text = object.if_contains(name)) return std::string(text->as_string());
  const auto* coded = object.if_contains(std::string(name) + "_base64");
  if (!coded) return {};
  auto bytes = base64_decode(std::string(coded->as_string()));
  if (!bytes) reject("'" + std::string(name) + "_base64' is not base64");
  return std::move(*bytes);
}

bool flag(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value && value->as_bool();
}

Protocol protocol_of(std::string_view text) {
  for (const Protocol protocol : {Protocol::tcp, Protocol::udp, Protocol::icmp})
    if (text == to_string(protocol)) return protocol;
  reject("'" + std::string(text) + "' is not a valid protocol");
}

std::string message_bytes(const json::value& message) {
  const auto& object = message.as_object();
  return bytes_of(object, "head") + bytes_of(object, "body");
}

Piece piece_of(const json::object& object) {
  const bool up = object.contains("up") || object.contains("up_base64");
  return {up, bytes_of(object, up ? "up" : "down")};
}

RecordedFlow flow_of(const json::object& object) {
  RecordedFlow flow;
  flow.protocol = protocol_of(std::string(object.at("protocol").as_string()));
  flow.host = object.at("host").as_string();
  flow.port = object.at("port").to_number<std::uint16_t>();
  flow.tls = flag(object, "tls");
  flow.refused = flag(object, "refused");
  if (const auto* exchanges = object.if_contains("exchanges"))
    for (const auto& exchange : exchanges->as_array()) {
      const auto& one = exchange.as_object();
      flow.exchanges.push_back(
          {message_bytes(one.at("request")), message_bytes(one.at("response")), flag(one, "closes")});
    }
  if (const auto* pieces = object.if_contains("pieces"))
    for (const auto& piece : pieces->as_array()) flow.pieces.push_back(piece_of(piece.as_object()));
  return flow;
}

}  // namespace

std::string to_json(const Recording& recording) {
  json::array flows;
  for (const auto& flow : recording) flows.push_back(object_of(flow));
  std::string out;
  print(out, json::object{{"format", format}, {"flows", std::move(flows)}}, "");
  return out + "\n";
}

Result<Recording> recording_from_json(std::string_view text) {
  try {
    const auto whole = json::parse(json::string_view(text.data(), text.size()));
    if (whole.at("format").as_string() != json::string_view(format.data(), format.size()))
      return Error{"it is of another format than '" + std::string(format) + "'"};
    Recording recording;
    for (const auto& flow : whole.at("flows").as_array()) recording.push_back(flow_of(flow.as_object()));
    return recording;
  } catch (const std::exception& error) {
    return Error{error.what()};
  }
}

}  // namespace nsrun::testing
