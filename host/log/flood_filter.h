#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/task.h"

namespace nsrun {

// Keeps what is written about events that somebody else can cause at will within bounds: in each window the
// first ones pass, further ones are summed up by their kind, and kinds beyond a number are counted as one.
// `About` is what the sum of a kind is written with. On one thread.
template <class About>
class FloodFilter {
 public:
  static constexpr Clock::duration window = 10s;
  static constexpr std::size_t max_passing = 100, max_kinds = 100;  // within a window

  struct Sum {
    About about;             // of the first event that did not pass
    std::uint64_t more = 0;  // events after it
    bool is_mixed = false;   // these are of other kinds, too
  };

  // Whether this event is to be written. If not it is counted, with make_about() if it is the first one.
  template <class MakeAbout>
  bool passes(const std::string& kind, MakeAbout make_about) {
    if (passed_ < max_passing) return ++passed_, true;
    if (const auto known = sums_.find(kind); known != sums_.end())
      ++known->second.more;
    else if (sums_.size() < max_kinds)
      sums_.emplace(kind, Sum{make_about()});
    else if (others_)
      ++others_->more;
    else
      others_ = Sum{make_about(), 0, true};
    return false;
  }

  // Once a window is over, before an event of the next one: the sums of the last.
  std::vector<Sum> take_due(Clock::time_point now) {
    if (now < begun_ + window) return {};
    begun_ = now;
    passed_ = 0;
    return take();
  }
  // In the end.
  std::vector<Sum> take() {
    std::vector<Sum> all;
    for (auto& [kind, sum] : std::exchange(sums_, {})) all.push_back(std::move(sum));
    if (others_) all.push_back(std::move(*std::exchange(others_, std::nullopt)));
    return all;
  }

 private:
  Clock::time_point begun_{};
  std::size_t passed_ = 0;
  std::map<std::string, Sum> sums_;
  std::optional<Sum> others_;
};

}  // namespace nsrun
