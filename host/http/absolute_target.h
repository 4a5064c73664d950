#pragma once

#include <optional>
#include <string_view>

namespace nsrun {

// A request's target in absolute form (RFC 9112 3.2.2): a URL, cut where its parts begin. Pure.
struct AbsoluteTarget {
  std::string_view scheme;     // in any case
  std::string_view authority;  // the host, and a port: to be parsed; without the user
  std::string_view rest;       // path and query: empty, or from '/' or '?' on
  bool has_user = false;

  // Nothing: it is none. Its characters are visible ones of ASCII, and it has no fragment.
  static std::optional<AbsoluteTarget> parse(std::string_view text);
};

}  // namespace nsrun
