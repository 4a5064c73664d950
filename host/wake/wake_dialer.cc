#include "host/wake/wake_dialer.h"

namespace nsrun {
namespace {

constexpr auto pause = 20ms;  // between dials of what runs and does not listen yet

// What is said of a thing that runs is a moment old; a dial knows.
bool nobody_there(const Error& error) {
  switch (error.code.value()) {
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENOENT:  // of a unix socket
      return true;
    default:
      return false;
  }
}

}  // namespace

Task<Result<std::unique_ptr<Connection>>> WakeDialer::dial(const Target& target) {
  const auto last = Clock::now() + group_.options().start_limit;
  for (;;) {
    const auto awake = co_await group_.awake(target.asker);
    if (!awake) co_return awake.error();
    auto far = co_await inner_.dial(target);
    if (far || !nobody_there(far.error()) || Clock::now() >= last) co_return far;
    co_await group_.look_again();
    if (group_.state() != WakeState::running) continue;
    if (!group_.is_fresh()) co_return far;
    co_await sleep_for(pause);
    if (target.asker >= 0 && has_left(target.asker)) co_return far;
  }
}

}  // namespace nsrun
