#include "host/names/reverse_name.h"

#include <array>
#include <string>

namespace nsrun {
namespace {

// Takes `suffix` off the end of `text`, where it is there.
bool take_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

std::optional<IpAddress> parse_reverse_v4(std::string_view labels) {
  // Written backwards the labels are a dotted quad, which IpAddress reads strictly.
  std::string forwards;
  while (true) {
    const auto dot = labels.rfind('.');
    forwards += labels.substr(dot == labels.npos ? 0 : dot + 1);
    if (dot == labels.npos) break;
    forwards += '.';
    labels = labels.substr(0, dot);
  }
  const auto address = IpAddress::parse(forwards);
  return address && forwards.find(':') == forwards.npos ? address : std::nullopt;
}

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::optional<IpAddress> parse_reverse_v6(std::string_view labels) {
  std::array<std::uint8_t, 16> bytes{};
  constexpr std::size_t nibbles = 32;
  if (labels.size() != 2 * nibbles - 1) return std::nullopt;
  for (std::size_t i = 0; i < nibbles; ++i) {
    const int value = nibble(labels[2 * i]);
    if (value < 0 || (i + 1 < nibbles && labels[2 * i + 1] != '.')) return std::nullopt;
    // The lowest nibble comes first.
    bytes[15 - i / 2] |= static_cast<std::uint8_t>(i % 2 ? value << 4 : value);
  }
  return IpAddress::v6_from(bytes.data());
}

}  // namespace

std::optional<IpAddress> parse_reverse_name(std::string_view name) {
  if (take_suffix(name, ".in-addr.arpa")) return parse_reverse_v4(name);
  if (take_suffix(name, ".ip6.arpa")) return parse_reverse_v6(name);
  return std::nullopt;
}

}  // namespace nsrun
