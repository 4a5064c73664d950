#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/task.h"

// The bounds of a tunnel's session, and what happens at each.

namespace nsrun::tunnel::limits {

inline constexpr std::uint32_t window = 1 << 20;         // bytes of a stream that the far side may send ahead
inline constexpr std::size_t report_after = window / 4;  // bytes read, then the far side is told
inline constexpr std::size_t max_message = 256 * 1024;   // bytes of a JSON message; then the session ends
// Bytes of all streams of a session that came and were not read yet; then nothing more is read from the far
// side until some of them are. In JSON nothing else holds it back; in the binary wire each stream has a
// window.
inline constexpr std::size_t max_held_json = 16 << 20;
inline constexpr std::size_t max_held_binary = 128 << 20;
inline constexpr std::size_t max_said = 1 << 20;        // bytes of answers; then nothing more is read
inline constexpr std::size_t max_streams = 16'384;      // that the far side asked for; then it is refused
inline constexpr std::size_t read_buffer = 256 * 1024;  // bytes
inline constexpr auto half_close_grace = 1s;  // of silence, then the end of one way is that of both, in JSON
inline constexpr auto half_close_look = 100ms;  // between two looks whether it has come to that
inline constexpr auto stall_limit =
    20s;  // without a read of a stream that holds back the tunnel; then it is reset
inline constexpr auto stall_look = 1s;  // between two looks for such streams
inline constexpr auto life_interval =
    10s;  // between two signs of life to a client that is held back, in JSON
// Bytes not yet sent at a kernel socket that takes a stream's: it reports that it takes more once half of
// them are gone, so that a slow reader is seen to read. By itself a socket reports that after a third of its
// buffer, a megabyte or more (tcp(7), TCP_NOTSENT_LOWAT).
inline constexpr int max_unsent = 128 * 1024;
inline constexpr int looks_per_silence = 4;  // for signs of life, within the limit of silence
inline constexpr auto life_look = 100ms;     // between two looks for one that was asked for
// After a change of this machine's network a client asks its server for a sign of life, and opens the tunnel
// again without one. Where the connection's own address has become useless, that is soon; else TCP may need a
// while to send again what was lost meanwhile.
inline constexpr auto network_settles = 300ms;
inline constexpr auto sign_limit_moved = 3s;
inline constexpr auto sign_limit_same = 12s;
inline constexpr std::size_t max_troubles = 16;  // that are reported of a session, within …
inline constexpr auto troubles_window = 60s;
inline constexpr auto goodbye_limit = 1s;  // for the far side to answer a close

}  // namespace nsrun::tunnel::limits
