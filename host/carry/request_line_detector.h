#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace nsrun {

// Whether a body begins with a request line, as a server would take it that does not read it as a body. Pure.
class RequestLineDetector {
 public:
  void take(std::string_view more);
  bool is_request() const { return state_ == State::request; }
  // It has begun, and is a request or not by what follows.
  bool is_open() const { return size_ > 0 && state_ != State::request && state_ != State::other; }

 private:
  enum class State { blank, method, gap, word, request, other };
  void take(char c);
  void take_in_word(char c);

  State state_ = State::blank;
  std::size_t size_ = 0;   // bytes of the line, and of empty ones before it
  std::size_t words_ = 0;  // that have begun
  std::string word_;       // the beginning of the one under way, in lower case
};

}  // namespace nsrun
