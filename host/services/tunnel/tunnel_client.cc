#include "host/services/tunnel/tunnel_client.h"

#include <algorithm>

#include "host/endpoints/endpoint_dialer.h"
#include "host/endpoints/host_port.h"
#include "host/flow/prefixed_connection.h"
#include "host/listen/listener.h"
#include "host/services/proxy/host_rewriter.h"
#include "host/services/tunnel/incoming_stream_request.h"

namespace nsrun {

using tunnel::Frame;

namespace {

constexpr auto answer_limit = 10s;               // for the server to report whether it listens
constexpr std::size_t max_refusal_reason = 300;  // bytes of a server's own words that are reported

Error no_forward(std::string_view text, std::string what) {
  return {"cannot forward '" + std::string(text) + "': " + what,
          {},
          "write PORT=ADDR, for instance 9000=localhost:3000",
          ExitCode::usage};
}

// Whoever speaks TLS says so with his first byte (RFC 8446 5.1), of a handshake. Who has not spoken by then
// waits for the server to begin.
constexpr char handshake_record = 22;
constexpr auto silence_limit = 500ms;
constexpr std::size_t first_read = 16 * 1024;  // bytes

// What a server behind tls:// calls itself, whatever the tunnel's clients call it.
std::string host_header(const EndpointUrl& to) {
  constexpr std::uint32_t usual_port = 443;
  return to.port == usual_port ? to.host : to.host + ":" + std::to_string(to.port);
}

}  // namespace

Result<TunnelForward> TunnelForward::parse(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == text.npos) return no_forward(text, "it does not say where to");
  const auto number = text.substr(0, equals);
  const auto port = number == "0" ? std::optional<std::uint16_t>(0) : parse_port(number);
  if (!port) return no_forward(text, "'" + std::string(number) + "' is not a valid port");
  TunnelForward forward;
  forward.port = *port;
  forward.text = text.substr(equals + 1);
  auto to = dialled_endpoint(forward.text);
  if (!to) return to.error();
  if (to->is_guest()) return no_forward(text, "there is no sandbox here");
  forward.to = std::move(*to);
  return forward;
}

EndpointUrl TunnelForward::without_tls() const {
  EndpointUrl bare = to;
  if (to.kind != EndpointUrl::Kind::tls) return bare;
  bare.kind = EndpointUrl::Kind::tcp;
  bare.options.clear();
  bare.text = bare.to_string();
  return bare;
}

Result<std::unique_ptr<TunnelClient>> TunnelClient::create(Service& service, TunnelAddress server,
                                                           TunnelAccess access, Options options,
                                                           std::shared_ptr<const RuleSet> rules) {
  auto connector = TunnelConnector::create(service.executor(), std::move(server), std::move(access));
  if (!connector) return connector.error();
  return std::unique_ptr<TunnelClient>(
      new TunnelClient(service, std::move(*connector), options, std::move(rules)));
}

TunnelClient::TunnelClient(Service& service, std::unique_ptr<TunnelConnector> connector, Options options,
                           std::shared_ptr<const RuleSet> rules)
    : service_(service),
      options_(options),
      link_(service.executor(), std::move(connector), options, *this),
      end_(service.executor(), Clock::time_point::max()) {
  if (rules) rules_.emplace(std::move(rules));
}

TunnelClient::~TunnelClient() = default;

Task<Result<void>> TunnelClient::connect() {
  auto connected = co_await link_.connect();
  if (!connected) co_return connected.error();
  ended_.reset();
  service_.flows_scope().spawn(carry());
  co_return Result<void>{};
}

Task<> TunnelClient::carry() {
  Error why = co_await link_.run();
  ended_ = std::move(why);
  end_.cancel();
}

Task<Error> TunnelClient::ended() {
  while (!ended_) co_await end_.async_wait(use_result);
  co_return *ended_;
}

Task<> TunnelClient::close() {
  closing_ = true;
  link_.close(WebSocket::normal);
  if (link_.session()) (void)co_await ended();
}

void TunnelClient::close_when_idle() {
  closing_ = true;
  link_.close_when_idle(WebSocket::normal);
}

Task<Result<std::unique_ptr<Connection>>> TunnelClient::dial(const Target& target) {
  if (!link_.session()) co_return Error{"the tunnel is not connected", errno_code(ENETUNREACH)};
  const auto transport = target.protocol == Protocol::tcp ? Transport::stream : Transport::datagram;
  Frame asked{.type = Frame::Type::open, .protocol = target.protocol, .text = target.to_string()};
  co_return co_await link_.session()->open(std::move(asked), transport);
}

// ---- What the server listens at for us.

Task<Result<std::uint16_t>> TunnelClient::listen(TunnelForward forward) {
  // Said before anybody asks.
  if (auto dialled = endpoint_dialer(forward.to, service_.executor()); !dialled) co_return dialled.error();
  const auto id = static_cast<std::uint32_t>(listenings_.size() + 1);
  Listening& listening =
      listenings_.emplace_back(service_, id, std::move(forward), rules_ ? &*rules_ : nullptr);
  if (auto verdict = listening.policy.judge({listening.forward.to.protocol(), {}, {}}); !verdict.allowed) {
    Error forbidden{"'" + listening.forward.text + "' is not to be forwarded to: " + verdict.rule.str(),
                    {},
                    "allow it by a rule that names it",
                    ExitCode::usage};
    listenings_.pop_back();
    co_return forbidden;
  }
  if (link_.session()) ask(listening, *link_.session());
  const auto wait = [](Listening& what) -> Task<> {
    while (!what.answer) co_await what.answered.wait();
  };
  co_await either(wait(listening), sleep_for(answer_limit));
  if (listening.answer) co_return *listening.answer;
  Error silent{"the tunnel's server does not report whether it listens at port " +
               std::to_string(listening.port)};
  trouble(silent.message());
  co_return silent;
}

void TunnelClient::ask(Listening& listening, TunnelSession& session) {
  const auto protocol = listening.forward.to.protocol();
  if (protocol == Protocol::udp && !session.is_binary())
    return take_answer(
        listening,
        Error{"cannot forward datagrams: the tunnel's server speaks JSON", {}, "nsrun on both sides can"});
  listening.waits = true;
  session.say({.type = Frame::Type::listen,
               .listener = listening.id,
               .port = listening.port,
               .protocol = protocol,
               .text = listening.forward.text});
}

void TunnelClient::take_answer(Listening& listening, Result<std::uint16_t> answer) {
  listening.waits = false;
  if (answer) listening.port = *answer;
  // The port may be free in a while: another's, or still that of the session before this one.
  if (!answer && !std::exchange(listening.retries, true)) service_.flows_scope().spawn(ask_again(listening));
  listening.answer = std::move(answer);
  report(listening);
  listening.answered.raise();
}

// What changed: a refusal that is repeated is not.
void TunnelClient::report(Listening& listening) {
  std::string refusal = listening.answer->has_error() ? listening.answer->error().message() : "";
  if (refusal == listening.refusal) return;
  if (refusal.empty())
    trouble("the tunnel's server listens at port " + std::to_string(listening.port) + " now");
  else
    trouble(refusal + "; trying again");
  listening.refusal = std::move(refusal);
}

Task<> TunnelClient::ask_again(Listening& listening) {
  co_await sleep_for(options_.backoff_max);
  listening.retries = false;
  if (link_.session() && !listening.waits && !closing_) ask(listening, *link_.session());
}

TunnelClient::Listening* TunnelClient::find_asked(const Frame& answer) {
  const auto found = std::ranges::find_if(listenings_, [&](const Listening& one) {
    return one.waits && (answer.listener ? one.id == answer.listener : one.port == answer.port);
  });
  if (found != listenings_.end()) return &*found;
  // JSON, and any port would do: answers come in the order of the questions.
  const auto any = std::ranges::find_if(
      listenings_, [&](const Listening& one) { return !answer.listener && one.waits && one.port == 0; });
  return any == listenings_.end() ? nullptr : &*any;
}

void TunnelClient::listen_answered(const Frame& frame) {
  Listening* listening = find_asked(frame);
  if (!listening) return;
  if (frame.type == Frame::Type::listen_ok)
    return take_answer(*listening, frame.port ? frame.port : listening->port);
  take_answer(*listening,
              Error{"the tunnel's server does not listen at port " + std::to_string(listening->port) + ": " +
                    frame.text.substr(0, max_refusal_reason)});
}

// ---- Who comes there.

TunnelClient::Listening* TunnelClient::find_wanted(const Frame& connect) {
  const auto found = std::ranges::find_if(listenings_, [&](const Listening& one) {
    return connect.listener ? one.id == connect.listener : one.port == connect.port;
  });
  return found == listenings_.end() ? nullptr : &*found;
}

void TunnelClient::stream_asked(std::unique_ptr<IncomingStream> arrival) {
  const Frame& asked = arrival->asked();
  Listening* listening = asked.type == Frame::Type::connect ? find_wanted(asked) : nullptr;
  if (!listening) return arrival->refuse(tunnel::Reason::prohibited);
  const auto source = Endpoint::parse(asked.text).value_or(Endpoint{});
  const FlowKey key{listening->forward.to.protocol(), source, {IpAddress::v4(127, 0, 0, 1), listening->port}};
  SharedText asker;
  if (source.port == 0) asker = "tunnel port " + std::to_string(listening->port);
  if (listening->forward.to.kind == EndpointUrl::Kind::tls)
    return service_.flows_scope().spawn(carry_to_tls(*listening, key, std::move(asker), std::move(arrival)));
  auto request = std::make_unique<IncomingStreamRequest>(key, std::move(asker), std::move(arrival));
  listening->carrier.begin(std::move(request), service_.flows_scope());
}

// Many a client of a proxy speaks TLS with the server it asked for, and would get TLS in TLS.
Task<> TunnelClient::carry_to_tls(Listening& listening, FlowKey key, SharedText asker,
                                  std::unique_ptr<IncomingStream> arrival) {
  const bool is_binary = arrival->is_binary();
  auto near = arrival->accept();
  if (!near) co_return;
  std::string ahead(first_read, '\0');
  const auto first = co_await within(silence_limit, near->read(std::as_writable_bytes(std::span(ahead))));
  if (first && !*first) co_return near->reset();
  ahead.resize(first ? (*first)->size : 0);
  const bool speaks_tls = ahead.starts_with(handshake_record);
  near = prefixed_connection(std::move(near), std::move(ahead));
  if (!speaks_tls) near = rewrite_host(std::move(near), host_header(listening.forward.to));
  auto request =
      std::make_unique<AcceptedStreamRequest>(std::move(key), std::move(asker), std::move(near), is_binary);
  (speaks_tls ? listening.bare_carrier : listening.carrier).begin(std::move(request), service_.flows_scope());
}

void TunnelClient::link_up(TunnelSession& session) {
  if (closing_) return session.close(WebSocket::normal, "");
  for (auto& listening : listenings_) ask(listening, session);
}

void TunnelClient::link_down(const Error& why) {
  for (auto& listening : listenings_) {
    listening.waits = false;
    if (!options_.reconnects && !listening.answer) take_answer(listening, why);
  }
  if (options_.reconnects && !closing_) trouble("the tunnel ended, and is opened again: " + why.message());
}

}  // namespace nsrun
