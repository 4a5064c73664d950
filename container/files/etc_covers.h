#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "runtime/fd.h"

namespace nsrun {

// Covers files of /etc again after something on the host has replaced them (text_covers.h).
class EtcCovers {
 public:
  // `paths`: covered files of /etc, in the mount namespace of the command. Nothing where there are none, or
  // where a replacement cannot be noticed: then the first replacement takes the cover away.
  static std::optional<EtcCovers> watch(std::vector<std::string> paths);

  std::vector<int> descriptors() const;
  int events() const { return events_.get(); }  // can be read: serve() has something to do
  void serve();

 private:
  struct Cover {
    std::string path;
    UniqueFd spare;  // a mount of our file that is attached nowhere
  };
  EtcCovers(UniqueFd events, std::vector<Cover> covers)
      : events_(std::move(events)), covers_(std::move(covers)) {}

  UniqueFd events_;  // inotify(7) of /etc
  std::vector<Cover> covers_;
};

}  // namespace nsrun
