#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/carry/carrier.h"
#include "host/carry/ledger.h"
#include "host/control/control_server.h"
#include "host/control/flow_commands.h"
#include "host/forward/forwarder.h"
#include "host/listen/listener.h"
#include "host/outside/world_dialer.h"

namespace nsrun {

// What a process without a sandbox has once, whatever its sources of requests are (forwards, tunnels): the
// record, the way out, the control socket, an orderly end. On one loop.
//
//   source ─► Carrier ─► Dialer ─► world
//
// Sources run in `sources`, flows in `flows_scope`: when the service ends the sources end first, so that
// nobody new gets in, and flows have a while to end by themselves.
class Service {
 public:
  // `events` outlives the service; `control`: where its socket is to be, empty: none. Throws ErrorException:
  // that cannot be made.
  Service(asio::io_context& context, Events& events, const std::string& control);

  // Before begin(): what can be asked at the control socket beside flows and counters.
  ControlCommands& commands() { return commands_; }
  void begin();

  Executor executor() const { return context_.get_executor(); }
  Scope& sources() { return sources_; }
  Scope& flows_scope() { return flows_scope_; }
  LiveFlows& flows() { return flows_; }
  Ledger& ledger() { return ledger_; }
  Dialer& world() { return world_; }
  // A carrier for requests of one kind: `policy` outlives it.
  Carrier carrier(Policy& policy) { return carrier(policy, world_); }
  Carrier carrier(Policy& policy, Dialer& dialer) {
    return Carrier(policy, dialer, ledger_, flows_, Asker::forwarded);
  }
  // What forwards are carried by.
  Forwarder::Parts forward_parts() { return {ledger_, flows_, world_, nullptr, sources_, flows_scope_}; }
  // Before begin(): flows that are counted on their own, shown with the others. They are there as long as
  // somebody can ask.
  void show(LiveFlows& flows) { shown_.push_back({context_, flows}); }
  // Where a listener's clients go: to `carrier`, as they are.
  ClientSink sink_to(Carrier& carrier);

  Task<> end_sources();  // no more clients, nor anybody at the control socket
  // What lives may go on for `limit`, then it is cut.
  Task<> drain(Clock::duration limit);

 private:
  asio::io_context& context_;
  Ledger ledger_;
  LiveFlows flows_;
  Scope flows_scope_, sources_;
  WorldDialer world_;
  ControlCommands commands_;
  std::vector<FlowLoop> shown_;
  std::optional<FlowCommands> flow_commands_;  // once it has begun
  std::optional<UnixSocket> control_socket_;   // until it is served
  std::optional<ControlServer> control_;
};

}  // namespace nsrun
