#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

// Numbers with their units, as options and files have them. Decimal fractions are allowed, letters are of
// either case. Nothing for what is no such number.

namespace nsrun {

std::optional<std::chrono::nanoseconds> parse_time(std::string_view text);  // us, ms, s, min; up to a day
std::optional<std::uint64_t> parse_size(std::string_view text);  // bytes: B, kB, MB, GB, KiB, MiB, GiB
std::optional<std::uint64_t> parse_rate(std::string_view text);  // bits a second: bit, kbit, mbit, gbit
std::optional<double> parse_share(std::string_view text);        // 0 to 1: 0% to 100%

}  // namespace nsrun
