#pragma once

#include <string>

#include "runtime/result.h"

namespace nsrun {

// Lays texts over files of the current, private mount namespace, as files of our own user. No file on disk is
// made or changed. While an object of this class lives, a directory of its own is mounted over /dev.
class TextCovers {
 public:
  static Result<TextCovers> open();
  TextCovers(TextCovers&& other) noexcept;
  ~TextCovers();

  // mount(2) follows symbolic links: what is covered is the file that `path` stands for.
  Result<void> cover(const std::string& path, const std::string& text);
  // Covers a symbolic link itself, so that it does not matter what becomes of the file that it leads to.
  Result<void> cover_link(const std::string& path, const std::string& text);

 private:
  TextCovers() = default;
  Result<std::string> write_next(const std::string& text);
  bool mounted_ = true;
  int files_ = 0;  // so many were made
};

}  // namespace nsrun
