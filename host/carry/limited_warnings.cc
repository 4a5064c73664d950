#include "host/carry/limited_warnings.h"

#include <algorithm>

namespace nsrun {

void LimitedWarnings::report(std::string what, Clock::time_point now) {
  const auto earned = std::max<Clock::rep>((now - refilled_) / one_in, 0);
  refilled_ += earned * one_in;
  left_ = static_cast<unsigned>(std::min<Clock::rep>(left_ + earned, at_once));
  if (left_ == 0) {
    ++left_out_;
    return;
  }
  --left_;
  if (left_out_ > 0) what += " (" + std::to_string(left_out_) + " similar warnings were not reported)";
  left_out_ = 0;
  ledger_.warning(what);
}

}  // namespace nsrun
