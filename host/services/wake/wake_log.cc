#include "host/services/wake/wake_log.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace nsrun {
namespace {

constexpr Clock::duration calm_after_trouble = 60s;  // without a trouble, then it is reported again

// Docker's messages name containers, networks and endpoints, each time others.
std::string without_ids(const std::string& text) {
  constexpr std::size_t shortest = 12;
  std::string kept, digits;
  const auto flush = [&] {
    kept += digits.size() < shortest ? digits : "#";
    digits.clear();
  };
  for (const char c : text) {
    if (std::isxdigit(static_cast<unsigned char>(c))) {
      digits += c;
      continue;
    }
    flush();
    kept += c;
  }
  flush();
  return kept;
}

bool is_same(std::string_view text, std::string_view lower) {
  return std::ranges::equal(text, lower, [](unsigned char a, char b) { return std::tolower(a) == b; });
}

std::optional<WakeLevel> level_of(std::string_view word) {
  constexpr std::array<std::pair<std::string_view, WakeLevel>, 6> levels = {{{"off", WakeLevel::off},
                                                                             {"error", WakeLevel::error},
                                                                             {"warn", WakeLevel::warn},
                                                                             {"info", WakeLevel::info},
                                                                             {"debug", WakeLevel::debug},
                                                                             {"trace", WakeLevel::debug}}};
  for (const auto& [name, level] : levels)
    if (is_same(word, name)) return level;
  return std::nullopt;
}

bool is_ours(std::string_view target) { return target == "proxytainer" || target == "nsrun"; }

}  // namespace

// Directives between commas: LEVEL for all, TARGET=LEVEL or TARGET (all levels) for one, which goes before. A
// filter by text may follow a slash; it is left out.
std::optional<WakeLevel> parse_wake_level(std::string_view text) {
  text = text.substr(0, text.find('/'));
  if (text.empty()) return WakeLevel::info;
  std::optional<WakeLevel> of_all, of_ours;
  while (!text.empty()) {
    const auto word = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    const auto equals = word.find('=');
    if (equals != word.npos) {
      const auto level = level_of(word.substr(equals + 1));
      if (!level) return std::nullopt;
      if (is_ours(word.substr(0, equals))) of_ours = level;
    } else if (const auto level = level_of(word)) {
      of_all = level;
    } else if (is_ours(word)) {
      of_ours = WakeLevel::debug;
    }
  }
  if (of_ours) return of_ours;
  return of_all.value_or(WakeLevel::off);
}

void WakeErrorLog::trouble(Doing doing, const Error& error) {
  auto what = without_ids(error.message());
  const auto said = said_.find(doing);
  if (said != said_.end() && said->second.what == what) {
    const auto well_since = std::exchange(said->second.well_since, std::nullopt);
    if (!well_since || Clock::now() - *well_since < calm_after_trouble) return;
  }
  say_(doing == Doing::look ? WakeLevel::warn : WakeLevel::error, name_ + ": " + error.message());
  said_[doing] = {std::move(what), std::nullopt};
}

void WakeErrorLog::is_well(Doing doing) {
  const auto said = said_.find(doing);
  if (said != said_.end() && !said->second.well_since) said->second.well_since = Clock::now();
}

}  // namespace nsrun
