#include "host/text/url_text.h"

#include <algorithm>

namespace nsrun {

std::string_view scheme_of(std::string_view url) {
  const auto colon = url.find("://");
  return colon == url.npos ? std::string_view{} : url.substr(0, colon);
}

std::string without_password(std::string_view url) {
  const auto begin = url.find("://");
  const auto end = url.rfind('@');
  if (begin == url.npos || end == url.npos || end < begin + 3) return std::string(url);
  return std::string(url.substr(0, begin + 3)) + std::string(url.substr(end + 1));
}

bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

}  // namespace nsrun
