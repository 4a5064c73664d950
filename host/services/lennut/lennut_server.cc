#include "host/services/lennut/lennut_server.h"

#include "host/flow/socket_connection.h"
#include "host/services/lennut/lennut_header.h"

namespace nsrun {

Task<Result<std::unique_ptr<Connection>>> LennutDialer::dial(const Target& target) {
  const auto until = Clock::now() + hold_;
  for (;;) {
    auto waiter = co_await clients_.take(until);
    if (!waiter)
      co_return Error{"no lennut client waits", errno_code(ECONNREFUSED), "start nsrun lennut client"};
    const Target taken{target.protocol, waiter->client, {}, target.source};
    auto connection = std::make_unique<SocketConnection>(executor_, std::move(waiter->socket));
    const auto written = co_await within(write_limit, connection->write(as_bytes(lennut::header)));
    if (!written || !*written) continue;
    if (target.resolved) target.resolved(taken);
    co_return connection;
  }
}

Result<std::unique_ptr<LennutServer>> LennutServer::bind(Service& service, const Options& options) {
  for (const auto* url : {&options.proxy, &options.clients})
    if (url->transport() != Transport::stream || url->kind == EndpointUrl::Kind::tls)
      return Error{"a lennut server cannot listen at '" + url->text + "'",
                   {},
                   "write HOST:PORT, or unix:///PATH",
                   ExitCode::usage};
  auto proxy = EndpointListener::bind(options.proxy);
  if (!proxy) return proxy.error();
  auto waiting = EndpointListener::bind(options.clients);
  if (!waiting) return waiting.error();
  return std::unique_ptr<LennutServer>(
      new LennutServer(service, std::move(*proxy), std::move(*waiting), options.hold));
}

LennutServer::LennutServer(Service& service, std::unique_ptr<EndpointListener> proxy,
                           std::unique_ptr<EndpointListener> waiting, Clock::duration hold)
    : service_(service),
      proxy_(std::move(proxy)),
      waiting_(std::move(waiting)),
      clients_(service.sources()),
      policy_("lennut"),
      dialer_(service.executor(), clients_, hold),
      carrier_(service.carrier(policy_, dialer_)) {}

void LennutServer::begin() {
  auto clients = service_.sink_to(carrier_);
  clients.key = [](const Client& client) { return FlowKey{Protocol::tcp, client.address, {}}; };
  clients.request = [this](std::unique_ptr<Request> request) {
    clients_.add({request->accept()->release_socket(), request->key().source});
  };
  service_.sources().spawn(waiting_->run(service_.sources(), std::move(clients)));

  auto outside = service_.sink_to(carrier_);
  outside.key = [here = proxy_->where().target().endpoint](const Client& client) {
    return FlowKey{Protocol::tcp, client.address, here};
  };
  service_.sources().spawn(proxy_->run(service_.sources(), std::move(outside)));
}

}  // namespace nsrun
