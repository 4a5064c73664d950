#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace nsrun {

// An inclusive range of ports. An echo has port 0, which only the whole range contains.
struct PortRange {
  std::uint16_t first = 0, last = 65535;
  bool contains(std::uint16_t port) const { return first <= port && port <= last; }
  bool is_all() const { return first == 0 && last == 65535; }
  unsigned size() const { return last - first + 1u; }
  bool operator==(const PortRange&) const = default;

  // A port or FIRST-LAST, 1-65535; nothing for what is neither.
  static std::optional<PortRange> parse(std::string_view text);
};

}  // namespace nsrun
