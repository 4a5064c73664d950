#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace nsrun {

// Small pieces of ASCII text, whatever the locale.

inline constexpr std::string_view blanks = " \t\r";  // between the words of a line

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

inline std::string lowered(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), to_lower);
  return result;
}

// Without the characters of `ends` at its beginning and end.
constexpr std::string_view trimmed(std::string_view text, std::string_view ends = " ") {
  const auto first = text.find_first_not_of(ends);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(ends) + 1 - first);
}

// The next word of `line`, taken off it with the blanks before it. It ends before any character of `ends`, and is
// empty at the end of the line or before such a character.
constexpr std::string_view next_word(std::string_view& line, std::string_view ends = blanks) {
  line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
  const auto word = line.substr(0, line.find_first_of(ends));
  line.remove_prefix(word.size());
  return word;
}

}  // namespace nsrun
