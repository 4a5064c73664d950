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

Task<> WakeDialer::awake(WakeGroup& group, const Target& target, std::vector<Error>& troubles) {
  // Datagrams are counted as they arrive.
  const auto done = co_await group.awake(target.asker, target.protocol == Protocol::tcp ? handshake : 0);
  if (!done) troubles.push_back(done.error());
}

Task<> WakeDialer::awake_all(const Target& target, std::vector<Error>& troubles) {
  std::vector<Task<>> at_once;
  for (auto* group : groups_) at_once.push_back(awake(*group, target, troubles));
  return wait_all(std::move(at_once));
}

Task<> WakeDialer::look_again() {
  std::vector<Task<>> at_once;
  for (auto* group : groups_) at_once.push_back(group->look_again());
  return wait_all(std::move(at_once));
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
    co_await awake_all(target, troubles);
    if (!troubles.empty()) co_return troubles.front();
    auto far = co_await inner_.dial(target);
    if (far || !nobody_there(far.error()) || Clock::now() >= last) co_return far;
    co_await look_again();
    if (!all_run()) continue;
    if (!is_fresh()) co_return far;
    co_await sleep_for(pause);
    if (target.asker >= 0 && has_left(target.asker)) co_return far;
  }
}

}  // namespace nsrun
