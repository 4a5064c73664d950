#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>

namespace nsrun {

// A small file of the system's that may change at any time, however that is done.
class WatchedFile {
 public:
  // `max_size`: bytes read; what follows is ignored.
  WatchedFile(std::string path, std::size_t max_size) : path_(std::move(path)), max_size_(max_size) {}

  // The text, where it is not that of the call before: one stat(2) a call, a read when it differs. Nothing
  // for an unchanged file, and for one that cannot be read (any more): what was read last stays in force.
  std::optional<std::string> changed();

 private:
  // What tells one version of a file from another.
  struct Version {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    std::int64_t seconds = 0, nanoseconds = 0;  // of its last modification
    bool operator==(const Version&) const = default;
  };
  std::optional<Version> version() const;

  std::string path_;
  std::size_t max_size_;
  std::optional<Version> read_;
};

}  // namespace nsrun
