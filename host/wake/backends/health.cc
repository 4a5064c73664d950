#include "host/wake/backends/health.h"

#include <algorithm>

#include "host/endpoints/endpoint_dialer.h"
#include "host/wake/backends/run_program.h"

namespace nsrun {
namespace {

constexpr auto probe_limit = 2s;  // then it is not ready
// A refused connection on this machine costs some 20 us; who waits should not wait for us.
constexpr auto connect_interval = 5ms;
constexpr auto command_interval = 50ms;

class ConnectProbe final : public Probe {
 public:
  ConnectProbe(std::unique_ptr<Dialer> dialer, Target target)
      : dialer_(std::move(dialer)), target_(std::move(target)) {}
  Task<bool> is_ready() override {
    const auto dialled = co_await within(probe_limit, dialer_->dial(target_));
    co_return dialled.has_value() && dialled->has_value();
  }
  Clock::duration interval() const override { return connect_interval; }

 private:
  const std::unique_ptr<Dialer> dialer_;
  const Target target_;
};

class CommandProbe final : public Probe {
 public:
  CommandProbe(std::string command, Executor executor) : executor_(executor), command_(std::move(command)) {}
  Task<bool> is_ready() override {
    std::vector<std::string> argv = {"/bin/sh", "-c", command_};
    const auto done = co_await run_program(executor_, std::move(argv), probe_limit);
    co_return done.has_value() && done->status == 0;
  }
  Clock::duration interval() const override { return command_interval; }

 private:
  const Executor executor_;
  const std::string command_;
};

}  // namespace

Result<std::unique_ptr<Probe>> connect_probe(const EndpointUrl& where, Executor executor) {
  auto dialer = endpoint_dialer(where, executor);
  if (!dialer) return dialer.error();
  return std::make_unique<ConnectProbe>(std::move(*dialer), where.target());
}

std::unique_ptr<Probe> command_probe(std::string command, Executor executor) {
  return std::make_unique<CommandProbe>(std::move(command), executor);
}

Task<Result<Backend::Status>> ProbedBackend::status() {
  if (ready_ || Clock::now() >= trusted_until_) {
    auto seen = co_await inner_->status();
    const bool runs = seen && *seen == Status::running;
    trusted_until_ = runs ? Clock::now() + inner_->pace().starting : Clock::time_point{};
    if (!runs) {
      ready_ = ready_ && !seen;  // one that cannot be asked may run on
      co_return seen;
    }
  }
  if (!ready_) ready_ = co_await probe_->is_ready();
  co_return ready_ ? Status::running : Status::starting;
}

Task<> ProbedBackend::watch(std::function<void()> changed) {
  std::function<void()> told = [this, changed = std::move(changed)] {
    trusted_until_ = {};
    changed();
  };
  co_await inner_->watch(std::move(told));
}

Backend::Pace ProbedBackend::pace() const {
  auto pace = inner_->pace();
  pace.starting = std::min(pace.starting, probe_->interval());
  return pace;
}

}  // namespace nsrun
