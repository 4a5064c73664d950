#include "cmd/hide_password.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace nsrun {
namespace {

struct SecretOption {
  std::string_view name;
  bool has_match;  // its value is URL@MATCH
};

constexpr std::array options = {SecretOption{"dial", false}, SecretOption{"via", true},
                                SecretOption{"server", false}};

// "--dial", "-server": options of services may have one dash. Null: no such option.
const SecretOption* option_of(std::string_view word) {
  if (!word.starts_with('-')) return nullptr;
  word.remove_prefix(word.starts_with("--") ? 2 : 1);
  const auto found = std::ranges::find(options, word.substr(0, word.find('=')), &SecretOption::name);
  return found == options.end() ? nullptr : found;
}

void hide(char* value, bool has_match) {
  std::string_view url = value;
  if (has_match) url = url.substr(0, url.rfind('@'));
  const auto begin = url.find("://");
  const auto end = url.rfind('@');
  if (begin == url.npos || end == url.npos || end < begin + 3) return;
  std::fill(value + begin + 3, value + end, '*');
}

}  // namespace

void hide_passwords(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--") return;
    const auto* option = option_of(word);
    if (!option) continue;
    const auto equals = word.find('=');
    if (equals != word.npos)
      hide(argv[i] + equals + 1, option->has_match);
    else if (i + 1 < argc)
      hide(argv[++i], option->has_match);
  }
}

}  // namespace nsrun
