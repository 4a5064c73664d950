#pragma once

#include <string>
#include <vector>

#include "cmd/policy_options.h"
#include "container/agent.h"
#include "host/forward/forward.h"
#include "host/sandbox/published_port.h"
#include "netstack/idle_spin.h"
#include "runtime/memory_budget.h"
#include "runtime/network.h"
#include "runtime/result.h"

namespace nsrun {

// What `nsrun [OPTIONS] [--] COMMAND` was asked for.
struct RunOptions {
  std::vector<std::string> command;
  NetworkOptions network;
  std::vector<PublishedPort> publish;
  std::vector<Forward> forwards;
  PolicyChoice policy;
  std::shared_ptr<const RuleSet>
      rules;  // of `policy`, as its files were when nsrun began; null: none were given
  bool host_loopback = false;
  std::string dial = "direct://";
  std::string log, capture, control;
  bool summary = false;
  Latency latency = Latency::automatic;
  std::size_t memory = MemoryBudget::default_limit;  // bytes that the sandbox's network may take here
  bool map_root = false, map_auto = false;
  bool pid = false, uts = false, ipc = false;
  bool closed = false;  // nothing leads outside but the network: what the rules' default brings
  std::vector<std::string> allowed_unix;  // except these unix sockets
  bool linger = false;
  Acceleration acceleration = Acceleration::off;
  bool resolv_conf = true;
  bool quiet = false;

  std::string answer;  // --help, --version: print this and end
};

// An error has ExitCode::usage.
Result<RunOptions> parse_options(int argc, char** argv);

}  // namespace nsrun
