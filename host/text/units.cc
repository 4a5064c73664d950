#include "host/text/units.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <span>

namespace nsrun {
namespace {

struct Unit {
  std::string_view name;
  double worth;
};

constexpr Unit times[] = {{"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"min", 60e9}};  // nanoseconds
constexpr Unit sizes[] = {{"B", 1},      {"kB", 1e3},      {"MB", 1e6},     {"GB", 1e9},
                          {"KiB", 1024}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
constexpr Unit rates[] = {{"bit", 1}, {"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}};
constexpr Unit shares[] = {{"%", 0.01}};

constexpr double longest = 86'400e9;  // nanoseconds
constexpr double most = 1e15;         // bytes, or bits a second: far below where a double is not exact

bool same(std::string_view one, std::string_view other) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); });
}

std::optional<double> with_unit(std::string_view text, std::span<const Unit> units, double limit) {
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc{} || !(number >= 0)) return std::nullopt;
  const auto unit = text.substr(static_cast<std::size_t>(end - text.data()));
  for (const Unit& known : units)
    if (same(unit, known.name) && number * known.worth <= limit) return number * known.worth;
  return std::nullopt;
}

template <class Whole>
std::optional<Whole> rounded(std::optional<double> number) {
  if (!number) return std::nullopt;
  return Whole(static_cast<std::uint64_t>(*number + 0.5));
}

}  // namespace

std::optional<std::chrono::nanoseconds> parse_time(std::string_view text) {
  return rounded<std::chrono::nanoseconds>(with_unit(text, times, longest));
}
std::optional<std::uint64_t> parse_size(std::string_view text) {
  return rounded<std::uint64_t>(with_unit(text, sizes, most));
}
std::optional<std::uint64_t> parse_rate(std::string_view text) {
  return rounded<std::uint64_t>(with_unit(text, rates, most));
}
std::optional<double> parse_share(std::string_view text) { return with_unit(text, shares, 1); }

}  // namespace nsrun
