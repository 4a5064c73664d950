#include <map>
#include <utility>
#include "tests/support/catch.h"

#include "host/services/wake/idle_detector.h"
#include "host/services/wake/wake_states.h"

using namespace nsrun;

namespace {

using State = WakeState;
using Input = WakeInput;
using Action = WakeAction;

constexpr auto states = {State::idle, State::starting, State::running, State::stopping};
constexpr auto inputs = {Input::asked,        Input::seen_idle, Input::seen_starting, Input::seen_running,
                         Input::start_failed, Input::unused,    Input::stopped,       Input::stop_failed};

const Clock::time_point start_action{1000s};

}  // namespace

TEST_CASE("each input does in each state what is written here, and else nothing") {
  const std::map<std::pair<State, Input>, WakeStep> expected = {
      {{State::idle, Input::asked}, {State::starting, Action::start}},
      {{State::idle, Input::unused}, {State::stopping, Action::stop}},
      {{State::idle, Input::seen_starting}, {State::starting, Action::none}},
      {{State::idle, Input::seen_running}, {State::running, Action::release}},
      {{State::starting, Input::seen_running}, {State::running, Action::release}},
      {{State::starting, Input::seen_idle}, {State::idle, Action::back_off}},
      {{State::starting, Input::start_failed}, {State::idle, Action::back_off}},
      {{State::starting, Input::unused}, {State::stopping, Action::stop}},
      {{State::running, Input::seen_idle}, {State::idle, Action::none}},
      {{State::running, Input::seen_starting}, {State::starting, Action::none}},
      {{State::running, Input::unused}, {State::stopping, Action::stop}},
      {{State::stopping, Input::stopped}, {State::idle, Action::none}},
      {{State::stopping, Input::stop_failed}, {State::running, Action::try_later}},
  };
  for (const auto state : states)
    for (const auto input : inputs) {
      const auto found = expected.find({state, input});
      const auto step = found == expected.end() ? WakeStep{state, Action::none} : found->second;
      CAPTURE(to_string(state), static_cast<int>(input));
      CHECK(wake_step(state, input) == step);
    }
}

TEST_CASE("states are written as users of proxytainer know them") {
  CHECK(to_string(State::idle) == "Idle");
  CHECK(to_string(State::starting) == "Starting");
  CHECK(to_string(State::running) == "Running");
  CHECK(to_string(State::stopping) == "Stopping");
}

TEST_CASE("the idle time is counted from the last byte") {
  IdleDetector clock(10s, 1);
  clock.touch(start_action);
  CHECK(clock.unused_at() == start_action + 10s);
  clock.moved(start_action + 3s, 5);
  clock.moved(start_action + 4s, 0);
  CHECK(clock.unused_at() == start_action + 13s);
  clock.touch(start_action + 5s);
  CHECK(clock.unused_at() == start_action + 15s);
}

TEST_CASE("fewer units within the idle time than the threshold are no use") {
  IdleDetector clock(10s, 30);
  clock.touch(start_action);
  clock.moved(start_action + 1s, 20);
  CHECK(clock.unused_at() == start_action + 10s);
  clock.moved(start_action + 6s, 20);
  // With both there are enough, until the first is too old.
  CHECK(clock.unused_at() == start_action + 11s);
  clock.moved(start_action + 12s, 9);
  CHECK(clock.unused_at() == start_action + 10s);
}

TEST_CASE("what moves often is kept in few batches, and its last moment stands") {
  IdleDetector clock(600s, 1);
  for (int i = 1; i <= 100'000; ++i) clock.moved(start_action + i * 10ms, 1);
  CHECK(clock.unused_at() == start_action + 1000s + 600s);
}
