#include "host/services/tunnel/server_session.h"

#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <cstring>

#include "host/listen/bind.h"
#include "host/services/tunnel/incoming_stream_request.h"
#include "host/text/canonical_name.h"

namespace nsrun {

using tunnel::Frame;
using tunnel::Reason;

namespace {

constexpr auto sign_limit = 3s;    // for a client to give a sign of life, where another wants its port
constexpr auto doubt_look = 50ms;  // between two looks whether it has
constexpr auto drain_time = 1s;    // for flows to pass on what had come, once the tunnel has ended

// As the original's library says it: "listen tcp 127.0.0.1:80: bind: permission denied".
std::string refusal_text(const Frame& frame, const std::string& why) {
  return "listen " + std::string(to_string(frame.protocol)) + " 127.0.0.1:" + std::to_string(frame.port) +
         ": " + why;
}

std::string bind_text(const Error& error) {
  std::string why = error.code.message();
  std::ranges::transform(why, why.begin(), [](unsigned char c) { return std::tolower(c); });
  return "bind: " + why;
}

}  // namespace

Task<Result<std::unique_ptr<Connection>>> ServerSession::ListenerDialer::dial(const Target& target) {
  const auto transport = target.protocol == Protocol::tcp ? Transport::stream : Transport::datagram;
  Frame asked{.type = Frame::Type::connect,
              .listener = listener_,
              .port = port_,
              .protocol = target.protocol,
              .text = target.source.to_string()};
  co_return co_await session_.open(std::move(asked), transport);
}

ServerSession::ServerSession(TunnelServer& server, std::unique_ptr<WebSocket> socket, bool is_binary,
                             std::string who)
    : server_(server),
      service_(server.service_),
      who_(std::move(who)),
      session_(service_.executor(), std::move(socket), is_binary,
               {TunnelSession::Role::server, {}, server.options_.silence_limit, server.options_.stall_limit},
               *this),
      flows_(service_.executor()),
      outward_(service_.carrier(server.outward_.rules)) {}

Task<Error> ServerSession::run() {
  Error why = co_await session_.run();
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  for (auto& listener : listeners_) stop(listener);
  if (server_.options_.ended) server_.options_.ended(this);
  // Streams are broken by now: what is left is on its way to those who read slowly.
  co_await either(flows_.join(), sleep_for(drain_time));
  co_await flows_.cancel_and_join();
  co_await asio::this_coro::throw_if_cancelled(throws);
  co_return why;
}

void ServerSession::end() {
  for (auto& listener : listeners_) stop(listener);
  session_.close_when_idle(WebSocket::going_away, "the server ends");
}

void ServerSession::trouble(const std::string& what) { server_.warnings_.report(what + " (" + who_ + ")"); }

// ---- Listeners.

Result<Endpoint> ServerSession::listen(const Frame& frame) {
  const auto refused = [&](const std::string& why) { return Error{refusal_text(frame, why)}; };
  const auto& ports = server_.options_.ports;
  const auto permits = [&](const auto& range) {
    return range.first <= frame.port && frame.port <= range.last;
  };
  if (!ports.empty() && std::ranges::none_of(ports, permits))
    return refused("this server does not permit the port");
  const bool known = std::ranges::any_of(
      listeners_, [&](const Listener& one) { return session_.is_binary() && one.id == frame.listener; });
  if (known || listeners_.size() >= max_listeners || server_.ending_)
    return refused(known ? "the listener is there already" : "this server takes no more listeners");
  auto bound = bind_ip(frame.protocol, IpAddress::loopback4(), frame.port, "", "");
  if (!bound) return refused(bind_text(bound.error()));
  SocketAddress own;
  ::getsockname(bound->get(), own.get(), &own.length);
  auto& listener =
      listeners_.emplace_back(*this, frame.listener, frame.protocol, own.endpoint(), std::move(*bound));
  if (server_.options_.listens) server_.options_.listens(this, listener.where.port, frame.text);
  begin(listener);
  return listener.where;
}

// A client whose network has changed comes again before its old session is known to be dead, and wants the
// ports of that one. So a session whose port somebody else wants has to give a sign of life.
void ServerSession::asked_to_listen(const Frame& frame) {
  if (frame.odd_port) {
    // As the original's library has it.
    const std::string why = "listen tcp: address " + std::to_string(frame.odd_port) + ": invalid port";
    return session_.say({.type = Frame::Type::listen_err, .odd_port = frame.odd_port, .text = why});
  }
  ServerSession* holder = server_.session_with(frame.protocol, frame.port);
  if (!holder || holder == this || waiting_ >= max_listeners) return answer(frame);
  holder->doubt();
  flows_.spawn(answer_without_doubt(frame));
}

Task<> ServerSession::answer_without_doubt(Frame frame) {
  ++waiting_;
  for (;;) {
    // It may be gone by the next look.
    const ServerSession* holder = server_.session_with(frame.protocol, frame.port);
    if (!holder || holder == this || !holder->is_in_doubt()) break;
    co_await sleep_for(doubt_look);
  }
  --waiting_;
  answer(frame);
}

bool ServerSession::has_port(Protocol protocol, std::uint16_t port) const {
  return port != 0 && std::ranges::any_of(listeners_, [&](const Listener& one) {
           return one.socket && one.protocol == protocol && one.where.port == port;
         });
}

void ServerSession::doubt() {
  if (!std::exchange(in_doubt_, true)) flows_.spawn(find_out());
}

Task<> ServerSession::find_out() {
  const bool alive = co_await session_.is_alive(sign_limit);
  if (alive) {
    in_doubt_ = false;
    co_return;
  }
  Error why{"the client is silent, and another wants its port", errno_code(ETIMEDOUT)};
  session_.abort(std::move(why));
}

void ServerSession::answer(const Frame& frame) {
  Frame answer{.type = Frame::Type::listen_ok, .listener = frame.listener, .port = frame.port};
  const bool own =
      !session_.is_binary() && frame.port != 0 && std::ranges::any_of(listeners_, [&](const Listener& one) {
        return !one.stopped && one.where.port == frame.port;
      });
  if (!own) {
    const auto listening = listen(frame);
    if (listening) {
      answer.port = listening->port;
    } else {
      answer.type = Frame::Type::listen_err;
      answer.text = listening.error().doing;
    }
  }
  session_.say(answer);
}

void ServerSession::begin(Listener& listener) {
  ClientSink sink;
  const auto protocol = listener.protocol;
  sink.key = [protocol, here = listener.where](const Client& client) {
    return FlowKey{protocol, client.address, here};
  };
  sink.request = [this, &listener](std::unique_ptr<Request> request) {
    if (!session_.is_binary()) show_slow_reads(request->socket());
    listener.carrier.begin(std::move(request), flows_);
  };
  sink.trouble = [this](const Error& error) { service_.ledger().dial_failed(error); };
  sink.place = "the tunnel's port " + std::to_string(listener.where.port);
  const int socket = listener.socket.get();
  listener.accepting.spawn(protocol == Protocol::tcp
                               ? accept_streams(service_.executor(), socket, std::move(sink))
                               : receive_datagrams(service_.executor(), socket, std::move(sink)));
}

void ServerSession::stop(Listener& listener) {
  if (std::exchange(listener.stopped, true)) return;
  if (server_.options_.stopped) server_.options_.stopped(this, listener.where.port);
  ::shutdown(listener.socket.get(), SHUT_RDWR);  // whoever comes from now on is refused
  flows_.spawn(close(listener));
}

// Its number may be another's only once nobody waits for it any more.
Task<> ServerSession::close(Listener& listener) {
  co_await listener.accepting.cancel_and_join();
  listener.socket.reset();
}

void ServerSession::asked_to_stop(std::uint32_t id) {
  for (auto& listener : listeners_)
    if (listener.id == id) stop(listener);
}

// ---- What the client has dialled.

Result<FlowKey> ServerSession::key_of(const std::string& target) const {
  const Error malformed{"'" + target + "' is not a valid target"};
  FlowKey key;
  if (target.starts_with("udp/"))
    key.protocol = Protocol::udp;
  else if (!target.starts_with("tcp/"))
    return malformed;
  const auto place = std::string_view(target).substr(4);
  if (const auto endpoint = Endpoint::parse(place)) {
    // Names have such addresses here, and go by them in policies alone.
    if (SyntheticNames::covers(endpoint->address)) return malformed;
    key.target = *endpoint;
    return key;
  }
  const auto colon = place.rfind(':');
  const auto port = colon == place.npos ? std::nullopt : parse_port(place.substr(colon + 1));
  const auto name = canonical_name(place.substr(0, colon));
  if (!port || !name) return malformed;
  key.target = {server_.outward_.names.v4_for(*name), *port};
  return key;
}

void ServerSession::stream_asked(std::unique_ptr<IncomingStream> arrival) {
  if (arrival->asked().type != Frame::Type::open) return arrival->refuse(Reason::prohibited);
  const auto key = key_of(arrival->asked().text);
  if (!key) return arrival->refuse(Reason::unsupported);
  outward_.begin(std::make_unique<IncomingStreamRequest>(*key, "tunnel " + who_, std::move(arrival)), flows_);
}

}  // namespace nsrun
