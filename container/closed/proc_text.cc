#include "container/closed/proc_text.h"

#include <fcntl.h>

#include <algorithm>
#include <climits>

#include "runtime/fd.h"

namespace nsrun {

std::string proc_text(int directory, const std::string& path) {
  const UniqueFd file(::openat(directory, path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  char piece[4096];
  for (ssize_t size; file && (size = ::read(file.get(), piece, sizeof piece)) > 0;)
    text.append(piece, static_cast<std::size_t>(size));
  return text;
}

std::string proc_link(int directory, const std::string& path) {
  char target[PATH_MAX];
  const ssize_t size = ::readlinkat(directory, path.c_str(), target, sizeof target);
  return {target, static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

std::string proc_field(const std::string& text, const std::string& label) {
  const auto line = text.find("\n" + label + ":");
  if (line == text.npos) return "";
  const auto begin = text.find_first_not_of(" \t", line + label.size() + 2);
  const auto end = text.find('\n', line + 1);
  if (begin >= end) return "";
  return text.substr(begin, text.find_last_not_of(" \t", end - 1) + 1 - begin);
}

}  // namespace nsrun
