#pragma once

#include <cstdint>
#include <string_view>

namespace nsrun {

// What wakes and sleeps is in one of these states.
enum class WakeState : std::uint8_t { idle, starting, running, stopping };

enum class WakeInput : std::uint8_t {
  asked,      // somebody waits for it
  seen_idle,  // it does not run, or not all of it
  seen_starting,
  seen_running,  // it says so
  start_failed,
  unused,  // nobody has used it for long enough
  stopped,
  stop_failed
};

enum class WakeAction : std::uint8_t {
  none,
  start,
  stop,
  release,   // all who wait
  back_off,  // before the next start
  try_later  // before the next stop
};

struct WakeStep {
  WakeState next;
  WakeAction action;
  bool operator==(const WakeStep&) const = default;
};

// What an input does in a state; what the table does not have changes nothing.
WakeStep wake_step(WakeState state, WakeInput input);

std::string_view to_string(WakeState state);  // "Idle"

}  // namespace nsrun
