#include "host/names/watched_file.h"

#include <fstream>

namespace nsrun {

std::optional<WatchedFile::Version> WatchedFile::version() const {
  struct stat status {};
  if (::stat(path_.c_str(), &status) != 0) return std::nullopt;
  return Version{status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

std::optional<std::string> WatchedFile::changed() {
  // Taken before the read: a change that comes between the two is seen at the next call.
  const auto now = version();
  if (!now || now == read_) return std::nullopt;
  std::ifstream file(path_);
  if (!file.is_open()) return std::nullopt;
  std::string text(std::min(max_size_, static_cast<std::size_t>(now->size) + 1), '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return std::nullopt;
  text.resize(static_cast<std::size_t>(file.gcount()));
  read_ = now;
  return text;
}

}  // namespace nsrun
