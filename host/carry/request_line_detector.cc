#include "host/carry/request_line_detector.h"

#include <algorithm>
#include <array>

#include "host/text/words.h"

// A request line as the most lenient of readers take it: after empty lines and space, a method, and behind
// one or more words for the target the name of a protocol. Node's parser knows three of those.

namespace nsrun {
namespace {

constexpr std::size_t max_line = 65'536;      // bytes; a longer one is taken for no request by any server
constexpr std::size_t max_protocol_word = 5;  // bytes of a word that are looked at
constexpr std::array protocols = {"http/", "rtsp/", "ice/"};

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r'; }

// tchar (RFC 9110 5.6.2).
bool is_of_token(char c) {
  const bool is_alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  return is_alphanumeric || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

}  // namespace

void RequestLineDetector::take(std::string_view more) {
  for (const char c : more) {
    if (state_ == State::request || state_ == State::other) return;
    take(c);
    if (++size_ > max_line) state_ = State::other;
  }
}

void RequestLineDetector::take(char c) {
  switch (state_) {
    case State::blank:
      if (!is_space(c) && c != '\n') state_ = is_of_token(c) ? State::method : State::other;
      return;
    case State::method:
      if (c == ' ' || c == '\t')
        state_ = State::gap;
      else if (!is_of_token(c))
        state_ = State::other;
      return;
    case State::gap:
      if (is_space(c)) return;
      state_ = State::word;  // or the line's end
      ++words_;
      word_.clear();
      return take_in_word(c);
    case State::word:
      return take_in_word(c);
    case State::request:
    case State::other:
      return;
  }
}

void RequestLineDetector::take_in_word(char c) {
  if (c == '\n') {
    state_ = State::other;
  } else if (is_space(c)) {
    state_ = State::gap;
  } else if (word_.size() < max_protocol_word) {
    word_ += to_lower(c);
    const bool may_be_version = words_ > 1;  // the first is the target
    if (may_be_version && std::ranges::find(protocols, word_) != protocols.end()) state_ = State::request;
  }
}

}  // namespace nsrun
