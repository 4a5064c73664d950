#pragma once

#include <memory>

#include "host/endpoints/endpoint_listener.h"
#include "host/services/lennut/waiting_clients.h"
#include "host/services/service.h"

namespace nsrun {

// Dials whoever waits, whatever the target: the header is written, and what follows are the flow's bytes.
class LennutDialer final : public Dialer {
 public:
  static constexpr auto write_limit = 5s;  // for the header; then the next one's turn

  // `hold`: how long a flow waits for a client, then ECONNREFUSED. `clients` outlives the dialer.
  LennutDialer(Executor executor, WaitingClients& clients, Clock::duration hold)
      : executor_(executor), clients_(clients), hold_(hold) {}
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;

 private:
  Executor executor_;
  WaitingClients& clients_;
  const Clock::duration hold_;
};

// The public side of a lennut tunnel: who connects to one endpoint is connected to a client that came to the
// other.
class LennutServer {
 public:
  struct Options {
    EndpointUrl proxy;    // where connections come from outside
    EndpointUrl clients;  // where lennut clients come
    Clock::duration hold = 5s;
  };
  // Both listen from now on; `service` outlives the server.
  static Result<std::unique_ptr<LennutServer>> bind(Service& service, const Options& options);

  // From here on who comes is taken.
  void begin();
  // No flow waits any longer.
  void end() { clients_.send_away(); }
  // With the ports that were found.
  const EndpointUrl& proxy() const { return proxy_->where(); }
  const EndpointUrl& clients() const { return waiting_->where(); }

 private:
  LennutServer(Service& service, std::unique_ptr<EndpointListener> proxy,
               std::unique_ptr<EndpointListener> waiting, Clock::duration hold);

  Service& service_;
  std::unique_ptr<EndpointListener> proxy_, waiting_;
  WaitingClients clients_;
  AllowAll policy_;
  LennutDialer dialer_;
  Carrier carrier_;
};

}  // namespace nsrun
