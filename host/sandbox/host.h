#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "host/dialers/resolving_dialer.h"
#include "host/forward/forward.h"
#include "host/policy/approval_queue.h"
#include "host/policy/rule_set.h"
#include "host/sandbox/published_port.h"
#include "netstack/idle_spin.h"
#include "runtime/command.h"
#include "runtime/flow_record.h"
#include "runtime/memory_budget.h"
#include "runtime/network.h"
#include "runtime/task.h"

namespace nsrun {

class HostCore;
class Learner;

// What the child says of itself; called on the loop's thread.
class SandboxListener {
 public:
  virtual ~SandboxListener() = default;
  virtual void ready() {}                                   // the network is there, packets flow
  virtual void started() {}                                 // the command runs
  virtual void stopped(int signal) { (void)signal; }        // it was stopped (job control)
  virtual void exited(int status) { (void)status; }         // 128 + n for signal n
  virtual void failed(const Error& error) { (void)error; }  // before it could start
  virtual void ended() {}                                   // the child is gone; it says nothing more
  virtual void closed() {}  // every flow has ended and was written down; nothing follows
};

// Reads the rules where they came from. Called on a thread of its own.
using RuleLoader = std::function<Result<std::shared_ptr<const RuleSet>>()>;

struct HostOptions {
  NetworkOptions network;
  std::shared_ptr<const RuleSet> rules;  // who may go where; null: all but the host itself (RulePolicy)
  RuleLoader reload;                     // makes them anew when asked to; empty: they stay as they are
  // Who decides what the rules leave open (ask): a function, or a program (AskingProgram). Neither: it is
  // denied.
  AskFunction ask;
  std::string ask_command;
  Clock::duration ask_limit = 30s;  // then no answer is deny
  Learner* learner = nullptr;       // borrowed; hears what was allowed, by name where it has one
  bool host_loopback = false;       // the gateway's addresses lead to the host's own loopback
  std::vector<PublishedPort> publish;
  std::vector<Forward> forwards;  // guest+… is in the sandbox; those that listen there do before it starts
  DialerFactory dialer;           // empty: direct, on the host's own network
  Latency latency = Latency::automatic;
  bool dialer_resolves_names = false;  // then the guest gets synthetic addresses, and the dialer the names
  std::string capture;                 // pcapng file; empty: none
  // Bytes that the guest can make this process hold, all its flows together (docs/memory.md). Past three
  // quarters of it new flows are refused.
  std::size_t memory = MemoryBudget::default_limit;
  std::string control;  // where the control socket is to be (docs/control.md); empty: none
  // Our agent's offer to have the command's connects answered is taken: so that sockets of ours may take
  // their place; because its sandbox is closed (AgentOptions::closed). SIGURG, where it is at its default,
  // then gets a handler that does nothing: it interrupts the thread that answers.
  bool accelerate = false, closed = false;
  // The host's, whose servers answer the guest. Empty: nobody is asked, and names have no other records than
  // the synthetic addresses they get.
  std::string resolv_conf = "/etc/resolv.conf";
  // Names that it gives protected addresses lead there where a rule opens exactly that name. Empty: none do.
  std::string hosts_file = {};
  Events* events = nullptr;             // borrowed; outlives the host
  SandboxListener* listener = nullptr;  // borrowed; outlives the host
};

// The outside of one sandbox: gives the child its network.
//
//   nsrun::Command command{{"./my-child"}};
//   nsrun::Host host(std::move(options));
//   host.attach_to_cmd(command);
//   auto process = nsrun::start(command).value();
//
// The child calls Container::open and setup_network (container/container.h), or is our own agent. Several
// hosts may live in one process, each with its own namespace, device, policy and dialer.
class Host {
 public:
  // On a thread of its own. Throws ErrorException: a published port in use, a forward that cannot be, a file
  // that cannot be written.
  explicit Host(HostOptions options);
  // On the caller's loop, run by one thread that ignores or blocks SIGPIPE (splice(2) has no MSG_NOSIGNAL).
  // Destroy the host on that thread, or while the loop does not run; run the loop on until it is out of work
  // before it is destroyed itself.
  Host(asio::io_context& context, HostOptions options);
  ~Host();  // every flow ends, published ports close; the guest's network is gone

  // Adds to command.extra_fds the descriptor through which the child reaches this host. Once, before start().
  Result<void> attach_to_cmd(Command& command);
  // Begins to end what the destructor ends; from the loop's thread, where the host runs on the caller's loop.
  void close();
  // After SandboxListener::stopped: continues the command, unless it was stopped again meanwhile.
  void resume();
  // Passes a signal to the command of our agent.
  void send_signal(int signal);
  // Asks HostOptions::reload for other rules; flows that these refuse are cut. A failure is a warning.
  void reload_policy();
  // Once the command has ended: what it sent last is not passed on any longer, but cut off.
  void hurry();
  Counters counters() const;
  // From here on these are HostOptions::rules; from any thread. Flows that live were judged by others.
  void replace_rules(std::shared_ptr<const RuleSet> rules);

 private:
  bool is_elsewhere() const;  // the loop runs on our thread, and the caller is on another

  std::unique_ptr<asio::io_context> own_context_;
  std::shared_ptr<HostCore> core_;
  std::thread thread_;
};

}  // namespace nsrun
