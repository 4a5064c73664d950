#include "host/forward/forwarder.h"

#include <sys/socket.h>

#include <algorithm>

#include "host/endpoints/endpoint_dialer.h"

namespace nsrun {

Result<void> Forwarder::add(const Forward& forward, Admits admits) {
  const bool dials_inside = has_sandbox_ && forward.dial.is_guest();
  const bool listens_inside = has_sandbox_ && forward.listen.is_guest();
  // Said before anybody asks.
  if (!dials_inside)
    if (auto dialled = endpoint_dialer(forward.dial, executor_); !dialled) return dialled.error();
  if (dials_inside && (forward.dial.host.empty() || forward.dial.port == 0))
    return Error{"cannot dial '" + forward.dial.text + "': it has no address or no port",
                 {},
                 "write HOST:PORT, for instance guest+tcp://localhost:80",
                 ExitCode::usage};
  std::unique_ptr<EndpointListener> opened;
  if (!listens_inside) {
    auto listener = EndpointListener::bind(forward.listen);
    if (!listener) return listener.error();
    opened = std::move(*listener);
  }
  forwards_.push_back({forward, std::move(admits), std::move(opened)});
  return {};
}

bool Forwarder::listens_inside() const {
  return std::ranges::any_of(forwards_, [](const One& one) { return !one.listener; });
}

Task<Result<void>> Forwarder::open_inside(MakeSocket make) {
  for (auto& one : forwards_) {
    if (one.listener) continue;
    const auto address = EndpointListener::address_of(one.forward.listen);
    if (!address) co_return address.error();
    const int type = one.forward.listen.transport() == Transport::stream ? SOCK_STREAM : SOCK_DGRAM;
    auto socket = co_await make(address->is_v4() ? AF_INET : AF_INET6, type);
    if (!socket) co_return socket.error();
    auto listener = EndpointListener::bind_inside(one.forward.listen, std::move(*socket));
    if (!listener) co_return listener.error();
    one.listener = std::move(*listener);
  }
  co_return Result<void>{};
}

void Forwarder::begin(const Parts& parts) {
  for (auto& one : forwards_)
    if (one.listener) begin(one, parts);
}

void Forwarder::begin(One& one, const Parts& parts) {
  const auto& where = one.listener->where();
  Dialer& dialer = one.forward.dial.is_guest() ? *parts.guest : parts.world;
  one.policy.emplace(one.forward.dial, where.to_string() + "=" + one.forward.dial.to_string());
  const Asker asker = where.is_guest()              ? Asker::guest_forwarded
                      : one.forward.dial.is_guest() ? Asker::client
                                                    : Asker::forwarded;
  one.carrier.emplace(*one.policy, dialer, parts.ledger, parts.flows, asker);
  ClientSink sink;
  const auto& asked = asker == Asker::client ? one.forward.dial : where;
  sink.key = [protocol = where.protocol(), asked = asked.target().endpoint](const Client& client) {
    return FlowKey{protocol, client.address, asked};
  };
  sink.request = [&carrier = *one.carrier, &carried = parts.carried](std::unique_ptr<Request> request) {
    carrier.begin(std::move(request), carried);
  };
  sink.admits = one.admits;
  sink.trouble = [&ledger = parts.ledger](const Error& error) { ledger.dial_failed(error); };
  parts.sources.spawn(one.listener->run(parts.sources, std::move(sink)));
}

std::vector<EndpointUrl> Forwarder::listening() const {
  std::vector<EndpointUrl> all;
  for (const auto& one : forwards_) all.push_back(one.listener ? one.listener->where() : one.forward.listen);
  return all;
}

}  // namespace nsrun
