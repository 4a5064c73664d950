#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/task.h"

// The bounds of a tunnel's session, and what happens at each.

namespace nsrun::tunnel::limits {

inline constexpr std::uint32_t window = 1 << 20;         // bytes of a stream that the far side may send ahead
inline constexpr std::size_t report_after = window / 4;  // bytes read, then the far side is told
inline constexpr std::size_t most_held = 16 << 20;   // bytes of a stream in JSON; then it waits, or is reset
inline constexpr std::size_t most_said = 1 << 20;    // bytes of answers; then nothing more is read
inline constexpr std::size_t most_streams = 16'384;  // that the far side asked for; then it is refused
inline constexpr std::size_t read_buffer = 256 * 1024;  // bytes
inline constexpr auto half_close_grace = 1s;  // of silence, then the end of one way is that of both, in JSON
inline constexpr auto half_close_look = 100ms;  // between two looks whether it has come to that
inline constexpr auto longest_wait = 20s;       // for a stream that nobody reads; then it is reset
inline constexpr auto goodbye_limit = 1s;       // for the far side to answer a close

}  // namespace nsrun::tunnel::limits
