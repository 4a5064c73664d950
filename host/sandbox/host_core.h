#pragma once

#include <optional>

#include "host/control/control_server.h"
#include "host/forward/forwarder.h"
#include "host/sandbox/guest_dialer.h"
#include "host/sandbox/host.h"
#include "host/sandbox/policy_reload.h"
#include "host/sandbox/publisher.h"
#include "host/sandbox/sandbox.h"
#include "host/sandbox/sandbox_commands.h"
#include "host/sandbox/sandbox_sockets.h"
#include "host/sandbox/worker.h"
#include "runtime/handshake.h"

namespace nsrun {

// One sandbox from outside: the words with its child, its life, and who carries its network.
//
//   guest ─► queue 0 ─► Worker on this loop             (worker.h)
//         ─► queue n ─► Worker on a thread of its own
//   client ─► published port ─► Carrier(AllowAll) ─► GuestDialer ─► guest
//   client ─► forward ────────► Carrier(AllowTo) ──► GuestDialer, or the world
//
// run() is the one task; it owns all others, through its worker's scope, and ends with the child or by
// close().
class HostCore {
 public:
  HostCore(asio::io_context& context, HostOptions options);

  static void start(std::shared_ptr<HostCore> core);  // spawns run(), which keeps the core alive
  // run() ends soon. On the loop's thread, or while the loop does not run.
  static void close(std::shared_ptr<HostCore> core);
  Result<void> attach(Command& command);
  void send(Message message);
  void resume() { send({MessageType::resume, 0, last_stop_}); }
  void hurry() { is_hurried_ = true, is_passing_on_ = false; }
  void reload();  // of the policy: what comes of it is told only where it fails
  Counters counters();
  void replace_rules(std::shared_ptr<const RuleSet> rules) { policy_reload_.replace(std::move(rules)); }

 private:
  Task<> run();
  Task<> hear_child();
  Task<> pass_on_the_rest();
  Task<> watch_child(UniqueFd pidfd);
  bool handle(Message& message);  // false: the conversation is over
  void map_ids(const Message& message);
  bool begin(std::vector<std::unique_ptr<Device>> queues, pid_t child);  // false: the child was refused
  void begin_with_device(Message& message);
  void accelerate(Message& message);
  void begin_with_pump(const Message& message);
  void publish();
  Task<> open_forwards();
  void begin_forwards();
  void serve_control();
  Task<> reload_and_tell();
  void refuse_child(const Error& error);
  void hang_up();  // then the agent ends
  std::vector<FlowLoop> loops();
  Task<std::size_t> unfinished();

  asio::io_context& context_;
  Sandbox sandbox_;
  SandboxListener no_listener_;
  SandboxListener& listener_;
  Worker worker_;                                      // of the first queue, on this loop
  std::vector<std::unique_ptr<WorkerThread>> others_;  // of the others
  asio::cancellation_signal cancel_;
  Signal child_gone_;
  AllowAll published_;

  UniqueFd channel_;  // our end of the handshake
  std::optional<Descriptor> channel_wait_;
  bool ids_mapped_ = false, is_passing_on_ = false;
  bool is_hurried_ = false;  // somebody wants the end of the command to be ours at once
  pid_t child_ = 0;          // the sandbox's first process, once it has sent its device
  bool started_ = false;     // the command runs
  bool over_ = false;        // run() has ended
  std::string last_stop_;    // as the agent named it

  SandboxSockets sockets_;
  std::optional<GuestDialer> guest_dialer_;
  std::optional<Carrier> published_flows_;
  Publisher publisher_;
  Forwarder forwarder_;
  PolicyReload policy_reload_;
  std::optional<UnixSocket> control_socket_;  // until it is served
  std::optional<SandboxCommands> commands_;
  std::optional<ControlServer> control_;
};

}  // namespace nsrun
