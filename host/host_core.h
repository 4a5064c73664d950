#pragma once

#include <optional>

#include "host/carrier.h"
#include "host/dialers/direct_dialer.h"
#include "host/dialers/function_dialer.h"
#include "host/host.h"
#include "host/ledger.h"
#include "host/names/name_server.h"
#include "host/names/name_service_dialer.h"
#include "host/policy/reachability.h"
#include "host/publish/guest_dialer.h"
#include "host/publish/sandbox_sockets.h"
#include "netstack/capture.h"
#include "netstack/stack.h"
#include "runtime/handshake.h"

namespace nsrun {

// The parts of one host and how they are wired:
//
//   guest ─► Stack ─► Carrier(Reachability) ─► NameServiceDialer ─► the dialer ─► world
//                                                     └──► NameServer
//   client ─► published port ─► Carrier(AllowAll) ─► GuestDialer ─► guest
//
// run() is the one task; it owns all others, through its scope, and ends with the child or by close().
class HostCore {
 public:
  HostCore(asio::io_context& context, HostOptions options);

  static void start(std::shared_ptr<HostCore> core);  // spawns run(), which keeps the core alive
  void close();                                       // on the loop's thread: run() ends soon
  Result<void> attach(Command& command);
  void send(Message message);
  void resume() { send({MessageType::resume, 0, last_stop_}); }
  Counters counters() const { return ledger_.totals(); }

 private:
  Task<> run();
  Task<> hear_child();
  Task<> pass_on_the_rest();
  Task<> watch_child(UniqueFd pidfd);
  bool handle(Message& message);  // false: the conversation is over
  void map_ids(const Message& message);
  void begin(std::unique_ptr<Device> device, pid_t child);
  void begin_with_device(Message& message);
  void begin_with_pump(const Message& message);
  void publish();
  void refuse_child(const Error& error);
  std::unique_ptr<Dialer> make_dialer();

  asio::io_context& context_;
  HostOptions options_;
  Events no_events_;
  Events& events_;
  SandboxListener no_listener_;
  SandboxListener& listener_;
  Ledger ledger_;
  Scope tasks_;
  asio::cancellation_signal cancel_;
  Signal child_gone_;

  SyntheticNames synthetic_;
  Reachability reachability_;
  AllowAll published_;
  std::unique_ptr<Dialer> world_;
  DirectDialer upstream_;  // to the host's resolvers: no policy between
  Resolvers resolvers_;
  NameServer name_server_;
  FunctionDialer name_service_;
  NameServiceDialer dialer_;
  Carrier guest_flows_;

  std::vector<UniqueFd> listeners_;  // of options_.publish, in order
  UniqueFd channel_;                 // our end of the handshake
  std::optional<Descriptor> channel_wait_;
  bool ids_mapped_ = false;
  std::string last_stop_;  // as the agent named it

  std::unique_ptr<CaptureFile> capture_;
  std::unique_ptr<Device> device_, capturing_;
  std::unique_ptr<Stack> stack_;
  SandboxSockets sockets_;
  std::optional<GuestDialer> guest_dialer_;
  std::optional<Carrier> published_flows_;
};

}  // namespace nsrun
