#include "host/services/wake/wake_states.h"

#include <algorithm>
#include <array>

namespace nsrun {
namespace {

using State = WakeState;
using Input = WakeInput;
using Action = WakeAction;

struct Row {
  State state;
  Input input;
  WakeStep step;
};

// Who asks in `starting` or `stopping` waits for what comes of it; in `running` nobody has to. What is
// stopped while somebody waits is idle for a moment, and asked for again.
constexpr std::array table = {
    Row{State::idle, Input::asked, {State::starting, Action::start}},
    // Some of it runs, and of no use to anybody.
    Row{State::idle, Input::unused, {State::stopping, Action::stop}},
    // Somebody else started it.
    Row{State::idle, Input::seen_starting, {State::starting, Action::none}},
    Row{State::idle, Input::seen_running, {State::running, Action::release}},

    Row{State::starting, Input::seen_running, {State::running, Action::release}},
    // It ended before it was ready, or somebody else stopped it.
    Row{State::starting, Input::seen_idle, {State::idle, Action::back_off}},
    Row{State::starting, Input::start_failed, {State::idle, Action::back_off}},
    // It never became ready, and those who waited have gone.
    Row{State::starting, Input::unused, {State::stopping, Action::stop}},

    // Somebody else stopped, paused or removed it, or it ended.
    Row{State::running, Input::seen_idle, {State::idle, Action::none}},
    // It is started again, or its health has gone.
    Row{State::running, Input::seen_starting, {State::starting, Action::none}},
    Row{State::running, Input::unused, {State::stopping, Action::stop}},

    Row{State::stopping, Input::stopped, {State::idle, Action::none}},
    // Whether it still runs is seen next.
    Row{State::stopping, Input::stop_failed, {State::running, Action::try_later}},
};

}  // namespace

WakeStep wake_step(WakeState state, WakeInput input) {
  const auto row = std::ranges::find_if(
      table, [&](const Row& each) { return each.state == state && each.input == input; });
  return row == table.end() ? WakeStep{state, Action::none} : row->step;
}

std::string_view to_string(WakeState state) {
  constexpr std::array<std::string_view, 4> names = {"Idle", "Starting", "Running", "Stopping"};
  return names[static_cast<std::size_t>(state)];
}

}  // namespace nsrun
