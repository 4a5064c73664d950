#pragma once

#include <cstdint>

#include "runtime/fd.h"
#include "runtime/task.h"

namespace nsrun {

// Notices when addresses, links, routes or rules of this process's network change. One for each loop, as a
// service of its io_context: asio::use_service<RouteWatch>(context). It keeps no work outstanding and wakes
// nobody: callers ask for the generation when they have something to send.
class RouteWatch final : public asio::execution_context::service {
 public:
  static constexpr auto look_interval = 500ms;  // at most one system call in this time
  static asio::execution_context::id id;

  explicit RouteWatch(asio::execution_context& context);
  void shutdown() noexcept override { changes_.reset(); }

  // Another number than before once something has changed. Where the kernel gives no netlink socket it stays.
  std::uint32_t generation(Clock::time_point now) {
    if (now - looked_ >= look_interval) look(now);
    return generation_;
  }

 private:
  void look(Clock::time_point now);

  UniqueFd changes_;  // a netlink socket (rtnetlink(7))
  Clock::time_point looked_;
  std::uint32_t generation_ = 0;
};

}  // namespace nsrun
