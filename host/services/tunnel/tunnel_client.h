#pragma once

#include <list>
#include <optional>
#include <string>

#include "host/forward/forward.h"
#include "host/services/service.h"
#include "host/services/tunnel/forward_policy.h"
#include "host/services/tunnel/incoming_stream_request.h"
#include "host/tunnel/tunnel_link.h"

namespace nsrun {

// PORT=ADDR: clients of the server's port are connected to ADDR, from here.
struct TunnelForward {
  std::uint16_t port = 0;  // 0: any that is free there
  EndpointUrl to;          // tls://: who speaks TLS already is not given another
  std::string text;        // ADDR as it was written

  // "9000=localhost:3000", "8085=tls://www.example.com:443", or any endpoint. Errors have ExitCode::usage.
  static Result<TunnelForward> parse(std::string_view text);
  EndpointUrl without_tls() const;  // the same place
};

// The side of a tunnel that opened it: it has the server listen, and connects whoever comes there. Belongs to
// the service's loop, and lives as long as the service's flows.
class TunnelClient final : private TunnelLink::User {
 public:
  using Options = TunnelLink::Options;
  // `rules`: where forwards may lead; null: where they are to.
  static Result<std::unique_ptr<TunnelClient>> create(Service& service, TunnelAddress server,
                                                      TunnelAccess access, Options options,
                                                      std::shared_ptr<const RuleSet> rules = nullptr);
  ~TunnelClient() override;

  // The first attempt's outcome; from there on the tunnel is carried, and with Options::reconnects opened
  // again whenever it ends.
  Task<Result<void>> connect();
  // The port there, or why there is none. Asked for again after each reconnect, and where the server refused
  // it.
  Task<Result<std::uint16_t>> listen(TunnelForward forward);
  // A connection from the server's side (its policy permitting): for streams "tcp/HOST:PORT".
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target);
  Task<> close();          // says goodbye; streams are broken
  void close_when_idle();  // likewise, once there are none
  Task<Error> ended();     // until the tunnel has ended for good

  bool is_connected() { return link_.session() != nullptr; }

 private:
  struct Listening {
    Listening(Service& service, std::uint32_t number, TunnelForward what, OutwardPolicy* rules)
        : id(number),
          forward(std::move(what)),
          port(forward.port),
          policy(forward.to, to_string(), rules),
          carrier(service.carrier(policy)),
          bare_policy(forward.without_tls(), to_string(), rules),
          bare_carrier(service.carrier(bare_policy)),
          answered(service.executor()) {}
    const std::uint32_t id;
    const TunnelForward forward;
    std::uint16_t port;    // as it was found
    bool waits = false;    // for an answer
    bool retries = false;  // it was refused, and will be asked for again
    std::string refusal;   // that was reported; empty: it works, or nothing was answered yet
    std::optional<Result<std::uint16_t>> answer;
    ForwardPolicy policy;
    Carrier carrier;
    ForwardPolicy bare_policy;  // of tls://: for who speaks TLS himself
    Carrier bare_carrier;
    Signal answered;

    std::string to_string() const {
      return "tunnel " + std::to_string(forward.port) + "=" + forward.to.to_string();
    }
  };

  TunnelClient(Service& service, std::unique_ptr<TunnelConnector> connector, Options options,
               std::shared_ptr<const RuleSet> rules);
  Task<> carry();
  Task<> ask_again(Listening& listening);
  Task<> carry_to_tls(Listening& listening, FlowKey key, SharedText asker,
                      std::unique_ptr<IncomingStream> arrival);
  void ask(Listening& listening, TunnelSession& session);
  void take_answer(Listening& listening, Result<std::uint16_t> answer);
  void report(Listening& listening);
  Listening* find_asked(const tunnel::Frame& answer);
  Listening* find_wanted(const tunnel::Frame& connect);

  void link_up(TunnelSession& session) override;
  void link_down(const Error& why) override;
  void listen_answered(const tunnel::Frame& frame) override;
  void stream_asked(std::unique_ptr<IncomingStream> arrival) override;
  void trouble(const std::string& what) override { service_.ledger().warning(what); }

  Service& service_;
  const Options options_;
  TunnelLink link_;
  std::optional<OutwardPolicy> rules_;
  std::list<Listening> listenings_;
  std::optional<Error> ended_;
  Timer end_;  // never expires; cancelled when it has ended
  bool closing_ = false;
};

}  // namespace nsrun
