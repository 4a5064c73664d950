#pragma once

#include <functional>
#include <string>

#include "host/wake/backend.h"
#include "runtime/command.h"

namespace nsrun {

// A shell command as a child process, in a process group of its own. Its output goes where ours does. It ends
// with us.
class ProcessBackend final : public Backend {
 public:
  using Say = std::function<void(const std::string&)>;
  // `stop_limit`: after SIGTERM, then SIGKILL. `say` hears of ends that nobody asked for.
  ProcessBackend(Executor executor, std::string command, Clock::duration stop_limit, Say say);
  ~ProcessBackend() override;  // as stop(), and waits for it

  Task<Result<Status>> status() override;
  Task<Result<void>> start() override;
  Task<Result<void>> stop() override;
  Task<> watch(std::function<void()> changed) override;
  Pace pace() const override { return {1s, 60s}; }

 private:
  bool is_alive() const { return process_.pid() > 0; }
  bool has_ended() const;
  int bury();
  void signal_group(int signal) const;

  const Executor executor_;
  const std::string command_;
  const Clock::duration stop_limit_;
  const Say say_;
  Process process_;
  Signal started_;
};

}  // namespace nsrun
