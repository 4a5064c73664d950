// By hand: what comes here is a stranger's, and Boost 1.81's URL parser fails an assertion on some (a colon
// and a byte beyond ASCII), and takes what follows an address in brackets for a path.

#include "host/http/absolute_target.h"

#include <algorithm>

namespace nsrun {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_of_scheme(char c) {
  return is_letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}
bool is_visible(char c) { return c > ' ' && c <= '~' && c != '\\' && c != '#'; }

}  // namespace

std::optional<AbsoluteTarget> AbsoluteTarget::parse(std::string_view text) {
  AbsoluteTarget target;
  const auto colon = text.find("://");
  if (colon == text.npos || colon == 0 || !std::ranges::all_of(text, is_visible)) return std::nullopt;
  target.scheme = text.substr(0, colon);
  if (!is_letter(target.scheme[0]) || !std::ranges::all_of(target.scheme, is_of_scheme)) return std::nullopt;
  const auto after = text.substr(colon + 3);
  const auto end = std::min(after.find_first_of("/?"), after.size());
  target.rest = after.substr(end);
  target.authority = after.substr(0, end);
  const auto at = target.authority.rfind('@');
  target.has_user = at != text.npos;
  if (target.has_user) target.authority.remove_prefix(at + 1);
  return target;
}

}  // namespace nsrun
