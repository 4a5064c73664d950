#include "host/services/tunnel/tunnel_server.h"

#include <algorithm>

#include "host/services/tunnel/server_session.h"

namespace nsrun {
namespace {

std::shared_ptr<const RuleSet> or_nobody(std::shared_ptr<const RuleSet> rules) {
  return rules ? rules : std::make_shared<const RuleSet>(std::vector<Rule>{}, Action::reject);
}

}  // namespace

TunnelServer::TunnelServer(Service& service, Options options)
    : service_(service),
      options_(std::move(options)),
      outward_(or_nobody(options_.rules)),
      warnings_(service.ledger()) {}

TunnelServer::~TunnelServer() = default;

Result<void> TunnelServer::bind(const EndpointUrl& where) {
  auto listener = EndpointListener::bind(where);
  if (!listener) return listener.error();
  listener_ = std::move(*listener);
  return {};
}

void TunnelServer::begin() {
  ClientSink sink;
  sink.key = [here = where().target().endpoint](const Client& client) {
    return FlowKey{Protocol::tcp, client.address, here};
  };
  sink.request = [this](std::unique_ptr<Request> request) {
    service_.sources().spawn_cancellable([&](auto& cancel) { return welcome(std::move(request), cancel); });
  };
  sink.trouble = [this](const Error& error) { service_.ledger().dial_failed(error); };
  service_.sources().spawn(listener_->run(service_.sources(), std::move(sink)));
}

// A client that stays silent gives way to those that come after it; a session does not.
Task<> TunnelServer::welcome(std::unique_ptr<Request> request, asio::cancellation_signal& cancel) {
  const Endpoint source = request->key().source;
  const auto welcomed = welcomed_.take(source.address, [&cancel] {
    cancel.emit(asio::cancellation_type::terminal);
    return true;
  });
  if (!welcomed) co_return request->refuse(Refusal::reset);
  std::string who = source.to_string();
  auto connection = request->accept();
  request.reset();
  auto place = session_places_.take(source.address, [] { return false; });
  auto given = co_await give_tunnel(std::move(connection), options_.upgrade, static_cast<bool>(place));
  if (!given && given.error().code.value() == EACCES)
    warnings_.report(given.error().doing + " (" + who + ")");
  if (given) service_.flows_scope().spawn(serve(std::move(*given), std::move(who), std::move(place)));
}

Task<> TunnelServer::serve(TunnelSocket socket, std::string who, ClientQuota::Place place) {
  (void)co_await attach(std::move(socket.socket), socket.is_binary, std::move(who));
  place = {};
}

Task<Error> TunnelServer::attach(std::unique_ptr<WebSocket> socket, bool is_binary, std::string who) {
  ServerSession session(*this, std::move(socket), is_binary, std::move(who));
  const auto place = sessions_.insert(sessions_.end(), &session);
  if (ending_) session.end();
  Error why = co_await session.run();
  sessions_.erase(place);
  co_return why;
}

ServerSession* TunnelServer::session_with(Protocol protocol, std::uint16_t port) const {
  const auto found = std::ranges::find_if(
      sessions_, [&](const ServerSession* session) { return session->has_port(protocol, port); });
  return found == sessions_.end() ? nullptr : *found;
}

void TunnelServer::end() {
  ending_ = true;
  for (auto* session : sessions_) session->end();
}

}  // namespace nsrun
