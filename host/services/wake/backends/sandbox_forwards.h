#pragma once

#include <string>
#include <vector>

#include "host/forward/forward.h"

namespace nsrun {

// How forwards lead into a sandbox of nsrun's that comes and goes:
//
//   client ─► LISTEN ─► unix socket in a folder of ours ─► nsrun --forward unix:///…=guest+tcp://… ─► inside
class SandboxForwards {
 public:
  // Every forward is to lead to guest+tcp:// or guest+udp://, and leads to its socket from then on. Errors of
  // what was asked for have ExitCode::usage.
  static Result<SandboxForwards> make(std::vector<Forward>& forwards);
  SandboxForwards(SandboxForwards&& other) noexcept
      : folder_(std::exchange(other.folder_, {})), words_(other.words_) {}
  ~SandboxForwards();

  // For nsrun's command line: "--forward", "unix:///…=guest+tcp://…", …
  const std::vector<std::string>& words() const { return words_; }

 private:
  SandboxForwards() = default;
  std::string folder_;
  std::vector<std::string> words_;
};

}  // namespace nsrun
