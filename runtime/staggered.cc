#include "runtime/staggered.h"

#include <boost/asio/this_coro.hpp>
#include <exception>

namespace nsrun {
namespace {

class Race {
 public:
  explicit Race(Executor executor) : changed_(executor), attempts_(executor) {}

  // To the end of the race; some attempts may still run.
  Task<> run(const std::vector<Clock::duration>& delays,
             const std::function<Task<bool>(std::size_t)>& start) {
    for (std::size_t i = 0; i < delays.size() && !won_; ++i) {
      if (i > 0 && delays[i].count() > 0) co_await either(changed_.wait(), sleep_for(delays[i]));
      if (won_) break;
      ++running_;
      attempts_.spawn(attempt(start(i)));
    }
    while (!won_ && running_ > 0) co_await changed_.wait();
  }
  Task<> end() { co_await attempts_.cancel_and_join(); }

 private:
  // However an attempt ends.
  struct Ending {
    ~Ending() {
      --race.running_;
      race.changed_.raise();
    }
    Race& race;
  };
  Task<> attempt(Task<bool> task);

  Signal changed_;  // an attempt has ended
  std::size_t running_ = 0;
  bool won_ = false;
  Scope attempts_;
};

Task<> Race::attempt(Task<bool> task) {
  const Ending ending{*this};
  if (co_await std::move(task)) won_ = true;
}

}  // namespace

Task<> detail::race(std::vector<Clock::duration> delays,
                    const std::function<Task<bool>(std::size_t)>& start) {
  Race race(co_await asio::this_coro::executor);
  std::exception_ptr failure;
  try {
    co_await race.run(delays, start);
  } catch (...) {
    failure = std::current_exception();
  }
  // A cancelled task cannot even begin to wait, and the attempts must end before this.
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  co_await race.end();
  co_await asio::this_coro::throw_if_cancelled(throws);
  if (failure) std::rethrow_exception(failure);
}

}  // namespace nsrun
