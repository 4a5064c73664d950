#include "host/services/wake/wake_dialer.h"

#include <algorithm>

namespace nsrun {
namespace {

constexpr std::uint64_t handshake = 3;  // packets of a client that connects, acknowledged
constexpr auto pause = 20ms;            // between dials of what runs and does not listen yet

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

// All at once.
Task<> WakeDialer::awake_from(std::size_t first, const Target& target, std::vector<Error>& troubles) {
  if (first == groups_.size()) co_return;
  const auto awake = [](WakeGroup& group, const Target& to, std::vector<Error>& into) -> Task<> {
    // Datagrams are counted as they arrive.
    const auto done = co_await group.awake(to.asker, to.protocol == Protocol::tcp ? handshake : 0);
    if (!done) into.push_back(done.error());
  };
  co_await both(awake(*groups_[first], target, troubles), awake_from(first + 1, target, troubles));
}

Task<> WakeDialer::look_again_from(std::size_t first) {
  if (first == groups_.size()) co_return;
  co_await both(groups_[first]->look_again(), look_again_from(first + 1));
}

bool WakeDialer::all_run() const {
  return std::ranges::all_of(groups_, [](const auto* each) { return each->state() == WakeState::running; });
}

bool WakeDialer::is_fresh() const {
  return std::ranges::any_of(groups_, [](const auto* each) { return each->is_fresh(); });
}

void WakeDialer::datagram_arrived() {
  for (auto* group : groups_) group->datagram_arrived();
}

Task<Result<std::unique_ptr<Connection>>> WakeDialer::dial(const Target& target) {
  auto limit = Clock::duration{};
  for (const auto* group : groups_) limit = std::max(limit, group->options().start_limit);
  const auto last = Clock::now() + limit;
  for (;;) {
    std::vector<Error> troubles;
    co_await awake_from(0, target, troubles);
    if (!troubles.empty()) co_return troubles.front();
    auto far = co_await inner_.dial(target);
    if (far || !nobody_there(far.error()) || Clock::now() >= last) co_return far;
    co_await look_again_from(0);
    if (!all_run()) continue;
    if (!is_fresh()) co_return far;
    co_await sleep_for(pause);
    if (target.asker >= 0 && has_left(target.asker)) co_return far;
  }
}

}  // namespace nsrun
