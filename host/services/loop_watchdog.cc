#include "host/services/loop_watchdog.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <memory>
#include <string_view>

namespace nsrun {
namespace {

constexpr auto look_interval = 100ms;

sigset_t only_sigterm() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  return set;
}

bool is_blocked() {
  sigset_t blocked;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
  return ::sigismember(&blocked, SIGTERM) == 1;
}

// Standard error may be what does not answer.
[[noreturn]] void end_process() {
  constexpr std::string_view why =
      "nsrun: it was told to end while it waited for a file that does not answer (a log, a policy); it ends "
      "at once\n";
  pollfd room{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&room, 1, 0) == 1 && (room.revents & POLLOUT))
    (void)!::write(STDERR_FILENO, why.data(), why.size());
  ::_exit(128 + SIGTERM);
}

}  // namespace

LoopWatchdog::LoopWatchdog(asio::io_context& loop, Clock::duration limit) : loop_(loop), limit_(limit) {
  asio::co_spawn(own_, is_blocked() ? watch_blocked() : watch_handled(), [](std::exception_ptr) {});
  thread_ = std::thread([this] { own_.run(); });
  ::pthread_setname_np(thread_.native_handle(), "nsrun-watchdog");
}

LoopWatchdog::~LoopWatchdog() {
  own_.stop();
  thread_.join();
}

Task<> LoopWatchdog::watch_blocked() {
  const sigset_t set = only_sigterm();
  Descriptor waiting(own_, ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  while (co_await readable(waiting)) {
    co_await expect_life();
    co_await sleep_for(look_interval);  // until it was taken
  }
}

Task<> LoopWatchdog::watch_handled() {
  asio::basic_signal_set<Executor> signals(own_, SIGTERM);
  for (;;) {
    co_await signals.async_wait(use_task);
    co_await expect_life();
  }
}

Task<> LoopWatchdog::expect_life() {
  const auto alive = std::make_shared<std::atomic<bool>>(false);
  asio::post(loop_, [alive] { *alive = true; });
  const auto until = Clock::now() + limit_;
  while (!*alive) {
    if (Clock::now() >= until) end_process();
    co_await sleep_for(look_interval);
  }
}

}  // namespace nsrun
