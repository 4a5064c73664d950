#include "cmd/hide_password.h"

#include <algorithm>
#include <string_view>

namespace nsrun {

void hide_password(int argc, char** argv, const std::string& value, std::size_t url_size) {
  const std::string_view url = std::string_view(value).substr(0, url_size);
  const auto begin = url.find("://");
  const auto end = url.find_last_of('@');
  if (begin == url.npos || end == url.npos || end < begin + 3) return;
  for (int i = 1; i < argc; ++i) {
    // "--dial URL" or "--dial=URL", each as often as it is given; what follows the command's name was parsed
    // after it.
    const std::string_view word = argv[i];
    if (!word.ends_with(value)) continue;
    char* const start = argv[i] + (word.size() - value.size());
    std::fill(start + begin + 3, start + end, '*');
    return;
  }
}

}  // namespace nsrun
