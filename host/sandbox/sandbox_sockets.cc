#include "host/sandbox/sandbox_sockets.h"

#include <fcntl.h>

#include <algorithm>

namespace nsrun {
namespace {

constexpr int batch = 8;       // sockets asked for at once
constexpr int max_asked = 64;  // on their way: the kernel bounds them for each user (unix(7), ETOOMANYREFS)
constexpr auto retry_pause = 100ms;   // after an answer without sockets: somebody is out of descriptors
constexpr std::size_t low_water = 4;  // fewer ready: ask for more
constexpr auto answer_deadline = 5s;  // then the connection is given up

// Waits in the pool's line for as long as it lives.
class InLine {
 public:
  InLine(std::vector<Signal*>& line, Signal& signal) : line_(line), signal_(signal) {
    line_.push_back(&signal_);
  }
  ~InLine() { std::erase(line_, &signal_); }

 private:
  std::vector<Signal*>& line_;
  Signal& signal_;
};

}  // namespace

Task<bool> SandboxSockets::has_agent() {
  if (!available_) co_await agent_comes_.async_wait(use_result);
  co_return available_;
}

void SandboxSockets::refill(int family, int type) {
  Pool& p = pool(family, type);
  if (p.asked >= max_asked ||
      p.ready.size() + static_cast<std::size_t>(p.asked) >= low_water + p.waiting.size())
    return;
  p.asked += batch;
  Message request{MessageType::make_sockets, batch};
  request.body = {static_cast<char>(family), static_cast<char>(type)};
  ask_(std::move(request));
}

Task<Result<UniqueFd>> SandboxSockets::take(int family, int type) {
  Pool& p = pool(family, type);
  const auto deadline = Clock::now() + answer_deadline;
  Signal came(executor_);
  const InLine in_line(p.waiting, came);
  refill(family, type);
  while (p.ready.empty()) {
    const auto left = deadline - Clock::now();
    const bool raised = co_await either(came.wait(), sleep_for(std::min<Clock::duration>(left, retry_pause)));
    if (!raised && Clock::now() >= deadline) {
      p.asked = 0;  // given up: who comes next asks anew
      co_return Error{"the sandbox's agent makes no sockets", errno_code(ETIMEDOUT),
                      "raise the limit of open files (ulimit -n), if it was reached"};
    }
    refill(family, type);
  }
  UniqueFd socket = std::move(p.ready.front());
  p.ready.pop_front();
  refill(family, type);
  co_return socket;
}

void SandboxSockets::made(Message message) {
  if (message.body.size() != 2) return;
  const int family = message.body[0], type = message.body[1];
  if (family != AF_INET && family != AF_INET6) return;
  if (type != SOCK_STREAM && type != SOCK_DGRAM) return;
  Pool& p = pool(family, type);
  if (p.asked == 0) return;
  p.asked = std::max(0, p.asked - batch);
  for (auto& fd : message.fds) {
    ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);  // whoever made it
    if (p.ready.size() < low_water + batch + p.waiting.size()) p.ready.push_back(std::move(fd));
  }
  if (p.ready.empty()) return;  // asking again at once would only hear it again
  for (Signal* waiting : p.waiting) waiting->raise();
}

}  // namespace nsrun
