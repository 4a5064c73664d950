#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "host/carry/limited_warnings.h"
#include "host/endpoints/endpoint_listener.h"
#include "host/listen/client_quota.h"
#include "host/services/service.h"
#include "host/services/tunnel/outward_policy.h"
#include "host/tunnel/tunnel_session.h"
#include "host/tunnel/upgrade.h"

namespace nsrun {

class ServerSession;

// The side of a tunnel that clients open: it listens for them on this machine's loopback, and connects them
// to where its policy lets them. Belongs to the service's loop, and lives as long as the service's flows.
class TunnelServer {
 public:
  struct Ports {
    std::uint16_t first = 0, last = 0xffff;
  };
  struct Options {
    UpgradeRules upgrade;
    std::vector<Ports> ports;                                   // that clients may have; empty: all
    std::shared_ptr<const RuleSet> rules = nullptr;             // whom they may have dialled; null: nobody
    Clock::duration silence_limit = 60s;                        // of a client; then it is gone
    Clock::duration stall_limit = tunnel::limits::stall_limit;  // TunnelSession::Options has what it means
    // A client's listener is there, and is about to be told so; `owner` tells sessions apart.
    std::function<void(const void* owner, std::uint16_t port, const std::string& local_addr)> listens = {};
    std::function<void(const void* owner, std::uint16_t port)> stopped = {};  // it is gone
    std::function<void(const void* owner)> ended = {};                        // all of this owner's are
  };
  TunnelServer(Service& service, Options options);
  ~TunnelServer();

  // Clients wait from now on: tcp://HOST:PORT or tls://HOST:PORT?cert=…&key=…[&ca=…].
  Result<void> bind(const EndpointUrl& where);
  const EndpointUrl& where() const { return listener_->where(); }
  void begin();                                      // from here on they are taken
  static constexpr std::size_t max_sessions = 1024;  // of clients that connect to us; more are answered 503

  // A client that came by a WebSocket of the program's own. `is_binary`: the subprotocol was agreed upon.
  // Until it ends.
  Task<Error> attach(std::unique_ptr<WebSocket> socket, bool is_binary, std::string who);
  // No more listeners; a session ends once it has no stream.
  void end();

 private:
  friend class ServerSession;
  ServerSession* session_with(Protocol protocol, std::uint16_t port) const;  // null: the port is no session's
  Task<> welcome(std::unique_ptr<Request> request, asio::cancellation_signal& cancel);
  Task<> serve(TunnelSocket socket, std::string who, ClientQuota::Place place);

  Service& service_;
  const Options options_;
  OutwardPolicy outward_;
  std::unique_ptr<EndpointListener> listener_;
  std::list<ServerSession*> sessions_;
  static constexpr std::size_t max_welcomed = 256;  // clients at once that have not asked yet
  ClientQuota welcomed_{max_welcomed}, session_places_{max_sessions};
  LimitedWarnings warnings_;
  bool ending_ = false;
};

}  // namespace nsrun
