#include "runtime/printable.h"

#include <cstdint>

namespace nsrun {
namespace {

struct Decoded {
  std::uint32_t character = 0;
  std::size_t size = 0;  // bytes; 0: they are not UTF-8
};

// RFC 3629 4.
Decoded decode_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return {};
  std::uint32_t character = lead & (0xffu >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    character = character << 6 | (byte(i) & 0x3fu);
  }
  const bool is_surrogate = character >= 0xd800 && character <= 0xdfff;
  const bool is_overlong = (size == 3 && character < 0x800) || (size == 4 && character < 0x10000);
  if (is_surrogate || is_overlong || character > 0x10ffff) return {};
  return {character, size};
}

bool is_shown(std::uint32_t character) {
  const auto within = [&](std::uint32_t first, std::uint32_t last) {
    return first <= character && character <= last;
  };
  const bool is_control = character < 0x20 || within(0x7f, 0x9f);
  const bool reorders =
      character == 0x061c || within(0x200e, 0x200f) || within(0x202a, 0x202e) || within(0x2066, 0x2069);
  return !is_control && !reorders && !within(0x2028, 0x2029);
}

}  // namespace

std::string printable(std::string_view text) {
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    const auto [character, size] = decode_utf8(text);
    if (size > 0 && is_shown(character))
      shown += text.substr(0, size);
    else
      shown += '?';
    text.remove_prefix(size > 0 ? size : 1);
  }
  return shown;
}

}  // namespace nsrun
