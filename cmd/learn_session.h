#pragma once

#include <string>
#include <vector>

#include "host/policy/learner.h"

namespace nsrun {

// --learn: what the command needed, and the file that it is written to.
class LearnSession {
 public:
  // `path` empty: nothing is learnt. Both outlive this.
  LearnSession(const std::string& path, const std::vector<std::string>& command)
      : path_(path), command_(command) {}
  Learner* learner() { return path_.empty() ? nullptr : &learner_; }
  Result<void> write() const;

 private:
  const std::string& path_;
  const std::vector<std::string>& command_;
  Learner learner_;
};

}  // namespace nsrun
