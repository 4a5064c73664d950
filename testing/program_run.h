#pragma once

#include <optional>

#include "container/agent.h"
#include "host/sandbox/host.h"
#include "testing/declared_dialer.h"
#include "testing/program.h"

namespace nsrun::testing {

// One program, its sandbox and what it prints, from start to end.
class ProgramRun final : public Events, public SandboxListener {
 public:
  // Starts it. Throws ErrorException.
  ProgramRun(WorldState& world, std::vector<std::string> argv, ProgramOptions options);
  ~ProgramRun() override;
  ProgramRun(const ProgramRun&) = delete;

  bool run_until(const std::function<bool()>& condition);
  Outcome finish();
  bool has_ended() const { return outcome_.timed_out || has_status_ || failure_.has_value(); }
  const Outcome& so_far() const { return outcome_; }
  void signal(int number);
  void adopt_rules();  // the world's, as they are now

  void flow_ended(const FlowRecord& record) override;
  void warning(const std::string& what) override { world_.trouble(what); }
  void started() override;
  void exited(int status) override;
  void failed(const Error& error) override;
  void ended() override;
  void closed() override { closed_ = true; }

 private:
  struct Pipe {
    UniqueFd ours;
    std::string* text;
  };
  void close();
  HostOptions host_options();
  AgentOptions agent_options(std::vector<std::string> argv) const;
  UniqueFd input() const;
  UniqueFd output(std::string& text);
  Task<> collect(Pipe& pipe);
  bool drain(const Pipe& pipe);  // false: nothing more will come
  void rethrow();

  WorldState& world_;
  const ProgramOptions options_;
  Outcome outcome_;
  bool has_started_ = false, has_status_ = false, closed_ = false;
  std::vector<int> waiting_signals_;  // until it has started
  std::optional<Error> failure_;
  std::vector<Flow> flows_;
  Pipe pipes_[2];
  Scope collecting_;
  std::optional<Host> host_;
  Process agent_;
  Clock::time_point deadline_;
};

}  // namespace nsrun::testing
