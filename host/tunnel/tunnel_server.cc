#include "host/tunnel/tunnel_server.h"

#include "host/tunnel/server_session.h"

namespace nsrun {
namespace {

constexpr std::size_t most_welcomed = 256;  // clients at once that have not asked yet; further ones are reset

std::shared_ptr<const RuleSet> or_nobody(std::shared_ptr<const RuleSet> rules) {
  return rules ? rules : std::make_shared<const RuleSet>(std::vector<Rule>{}, Action::reject);
}

struct Counted {
  explicit Counted(std::size_t& counted) : count(counted) { ++count; }
  ~Counted() { --count; }
  std::size_t& count;
};

}  // namespace

TunnelServer::TunnelServer(Service& service, Options options)
    : service_(service), options_(std::move(options)), outward_(or_nobody(options_.rules)) {}

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
    if (welcoming_ < most_welcomed)
      service_.sources().spawn(welcome(std::move(request)));
    else
      request->refuse(Refusal::reset);
  };
  sink.trouble = [this](const Error& error) { service_.ledger().dial_failed(error); };
  service_.sources().spawn(listener_->run(service_.sources(), std::move(sink)));
}

Task<> TunnelServer::welcome(std::unique_ptr<Request> request) {
  const Counted counted(welcoming_);
  std::string who = request->key().source.to_string();
  auto connection = request->accept();
  request.reset();
  auto given = co_await give_tunnel(std::move(connection), options_.upgrade);
  if (!given && given.error().code.value() == EACCES)
    service_.ledger().warning(given.error().doing + " (" + who + ")");
  if (given) service_.flows_scope().spawn(serve(std::move(*given), std::move(who)));
}

Task<> TunnelServer::serve(TunnelSocket socket, std::string who) {
  (void)co_await attach(std::move(socket.socket), socket.is_binary, std::move(who));
}

Task<Error> TunnelServer::attach(std::unique_ptr<WebSocket> socket, bool is_binary, std::string who) {
  ServerSession session(*this, std::move(socket), is_binary, std::move(who));
  const auto place = sessions_.insert(sessions_.end(), &session);
  if (ending_) session.end();
  Error why = co_await session.run();
  sessions_.erase(place);
  co_return why;
}

void TunnelServer::end() {
  ending_ = true;
  for (auto* session : sessions_) session->end();
}

}  // namespace nsrun
