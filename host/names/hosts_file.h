#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "host/names/watched_file.h"
#include "runtime/address.h"

namespace nsrun {

// The addresses that hosts(5) gives a name (canonical_name.h), in the order of the lines. `text` is lower
// case.
std::vector<IpAddress> addresses_in_hosts(std::string_view text, std::string_view name);

// The names that this machine knows by itself, as they are now.
class HostsFile {
 public:
  static constexpr std::size_t max_size = 4 << 20;  // bytes; what follows is ignored

  explicit HostsFile(std::string path = "/etc/hosts") : file_(std::move(path), max_size) {}
  std::vector<IpAddress> addresses_of(std::string_view name);

 private:
  WatchedFile file_;
  std::string text_;  // lower case
};

}  // namespace nsrun
