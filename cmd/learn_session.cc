#include "cmd/learn_session.h"

#include <ctime>

namespace nsrun {

Result<void> LearnSession::write() const {
  if (path_.empty()) return {};
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  char date[40];
  std::strftime(date, sizeof date, "%Y-%m-%d %H:%M", &local);
  std::string title = "What nsrun --learn saw on " + std::string(date) + ":";
  for (const auto& word : command_) title += " " + word;
  return learner_.write(path_, title);
}

}  // namespace nsrun
