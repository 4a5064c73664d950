#include "host/names/server_health.h"

#include <algorithm>

namespace nsrun {
namespace {

// resolv.conf(5) may name other servers over time: past so many entries all are forgotten.
constexpr std::size_t max_remembered_servers = 64;

}  // namespace

std::vector<ServerHealth::Choice> ServerHealth::order(std::vector<Target> servers, Clock::duration timeout,
                                                      Clock::time_point now) {
  std::vector<Choice> first, last;
  for (Target& server : servers) {
    const auto silent = silent_.find(key(server));
    if (silent == silent_.end()) {
      first.push_back({std::move(server), std::min(patience, timeout)});
    } else if (now < silent->second) {
      last.push_back({std::move(server), std::min(patience, timeout)});
    } else {
      silent->second = now + retry_after;
      first.push_back({std::move(server), std::min(patience_at_retry, timeout)});
    }
  }
  std::move(last.begin(), last.end(), std::back_inserter(first));
  return first;
}

void ServerHealth::was_silent(const Target& server, Clock::time_point now) {
  if (silent_.size() >= max_remembered_servers) silent_.clear();
  silent_[key(server)] = now + retry_after;
}

}  // namespace nsrun
