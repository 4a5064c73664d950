#include "host/text/canonical_name.h"

#include <algorithm>

#include "host/text/words.h"

namespace nsrun {
namespace {

constexpr std::size_t max_label = 63;  // characters; RFC 1035 2.3.4
constexpr std::size_t max_name =
    253;  // characters: 255 octets on the wire, less the first length and the root

// Printable ASCII without the space and the backslash. Not the locale's idea of it: <cctype> would have one.
bool plain(char c) { return c > 0x20 && c < 0x7f && c != '\\'; }

// For the message only: what cannot be shown is left out.
Error wrong_name(std::string_view text, std::string advice) {
  std::string shown;
  std::ranges::copy_if(text.substr(0, max_name), std::back_inserter(shown), plain);
  return Error{"cannot use '" + shown + "' as a host name", {}, std::move(advice)};
}

}  // namespace

Result<std::string> canonical_name(std::string_view text) {
  std::string_view name = text;
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty()) return wrong_name(text, "it is empty");
  if (name.size() > max_name) return wrong_name(text, "it is longer than 253 characters");
  if (!std::ranges::all_of(name, plain))
    return wrong_name(text,
                      "it has a character other than printable ASCII; write international names as xn--...");

  std::size_t label = 0;  // characters of it so far
  std::string result;
  result.reserve(name.size());
  for (const char c : name) {
    if (c == '.' && label == 0) return wrong_name(text, "it has an empty label");
    label = c == '.' ? 0 : label + 1;
    if (label > max_label) return wrong_name(text, "it has a label longer than 63 characters");
    result.push_back(to_lower(c));
  }
  if (label == 0) return wrong_name(text, "it has an empty label");
  return {boost::system::in_place_value, std::move(result)};
}

bool reads_as_address(std::string_view name) {
  const auto dot = name.rfind('.');
  const auto last = dot == name.npos ? name : name.substr(dot + 1);
  return last.starts_with("0x") || std::ranges::all_of(last, is_digit);
}

bool is_localhost(std::string_view name) { return name == "localhost" || name.ends_with(".localhost"); }

bool is_host_name(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_' || c == '.';
  };
  return std::ranges::all_of(name, fits) && !reads_as_address(name);
}

}  // namespace nsrun
