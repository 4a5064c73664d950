#pragma once

#include <list>
#include <string>

#include "host/flow/policy.h"
#include "host/services/tunnel/tunnel_server.h"
#include "host/tunnel/tunnel_session.h"

namespace nsrun {

// One client of a tunnel's server, with its listeners and its flows, which end with it. Other sessions know
// nothing of them.
class ServerSession final : private TunnelEvents {
 public:
  static constexpr std::size_t max_listeners = 1024;  // in the life of a session; more are refused

  ServerSession(TunnelServer& server, std::unique_ptr<WebSocket> socket, bool is_binary, std::string who);
  Task<Error> run();
  void end();  // no more clients; the session goes once it has no stream

  bool has_port(Protocol protocol, std::uint16_t port) const;  // and nobody else can have it
  // Whether the client is still there is being found out. If it is not, the session ends.
  bool is_in_doubt() const { return in_doubt_; }
  void doubt();

 private:
  // Clients of a listener are connected through the tunnel.
  class ListenerDialer final : public Dialer {
   public:
    ListenerDialer(TunnelSession& session, std::uint32_t listener, std::uint16_t port)
        : session_(session), listener_(listener), port_(port) {}
    Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;

   private:
    TunnelSession& session_;
    const std::uint32_t listener_;
    const std::uint16_t port_;
  };
  struct Listener {
    Listener(ServerSession& session, std::uint32_t number, Protocol kind, Endpoint bound, UniqueFd listening)
        : id(number),
          protocol(kind),
          where(bound),
          socket(std::move(listening)),
          accepting(session.service_.executor()),
          policy("tunnel " + std::to_string(bound.port)),
          dialer(session.session_, number, bound.port),
          carrier(session.service_.carrier(policy, dialer)) {}
    const std::uint32_t id;
    const Protocol protocol;
    const Endpoint where;
    UniqueFd socket;  // none: its port is free again
    bool stopped = false;
    Scope accepting;
    AllowAll policy;
    ListenerDialer dialer;
    Carrier carrier;
  };

  Result<Endpoint> listen(const tunnel::Frame& frame);
  void answer(const tunnel::Frame& frame);
  Task<> answer_without_doubt(tunnel::Frame frame);
  Task<> find_out();
  void begin(Listener& listener);
  void stop(Listener& listener);
  Task<> close(Listener& listener);
  Result<FlowKey> key_of(const std::string& target) const;

  void asked_to_listen(const tunnel::Frame& frame) override;
  void asked_to_stop(std::uint32_t listener) override;
  void stream_asked(std::unique_ptr<IncomingStream> arrival) override;
  void trouble(const std::string& what) override;

  TunnelServer& server_;
  Service& service_;
  const std::string who_;
  TunnelSession session_;
  Scope flows_;
  std::list<Listener> listeners_;
  Carrier outward_;  // what the client has dialled
  bool in_doubt_ = false;
  std::size_t waiting_ = 0;  // answers to the client that wait for another session to be found alive or dead
};

}  // namespace nsrun
