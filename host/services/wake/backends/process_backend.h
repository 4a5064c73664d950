#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "host/services/wake/backend.h"
#include "runtime/command.h"

namespace nsrun {

// A program as a child process, in a process group of its own. Its output goes where ours does. It ends with
// us.
class ProcessBackend final : public Backend {
 public:
  using Say = std::function<void(const std::string&)>;
  struct Program {
    std::string name;               // as it is called, in one line
    std::vector<std::string> argv;  // argv[0]: a path
  };
  static Program shell(const std::string& command);
  // `stop_limit`: after SIGTERM, then SIGKILL. `say` hears of ends that nobody asked for: of the same again
  // and again once.
  ProcessBackend(Executor executor, Program program, Clock::duration stop_limit, Say say);
  ~ProcessBackend() override;  // what stop() has not ended is killed

  Task<Result<Status>> status() override;
  Task<Result<void>> start() override;
  Task<Result<void>> stop() override;
  Task<> end() override { (void)co_await stop(); }
  Task<> watch(std::function<void()> changed) override;
  Pace pace() const override { return {1s, 60s}; }

 private:
  bool is_alive() const { return process_.pid() > 0; }
  bool has_ended() const;
  int bury();
  void tell_of_end(int status);

  const Executor executor_;
  const Program program_;
  const Clock::duration stop_limit_;
  const Say say_;
  Process process_;
  std::shared_ptr<Descriptor> end_;  // of the process, as long as there is one
  Clock::time_point begun_{};
  std::string said_;  // of its ends
  Signal started_;
};

}  // namespace nsrun
