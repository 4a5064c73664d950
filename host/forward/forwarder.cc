#include "host/forward/forwarder.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>

#include "host/endpoints/endpoint_dialer.h"
#include "host/policy/reachability.h"

namespace nsrun {
namespace {

// An address that `host` certainly stands for; names other than localhost are not resolved here.
std::optional<IpAddress> address_in(const std::string& host) {
  return host == "localhost" ? IpAddress::v4(127, 0, 0, 1) : IpAddress::parse(host);
}

// Whether a connection to `dial` certainly arrives at `listen`.
bool leads_to(const EndpointUrl& dial, const EndpointUrl& listen) {
  if (dial.transport() != listen.transport() || dial.is_guest() || listen.is_guest()) return false;
  if (!dial.is_ip() || !listen.is_ip())
    return dial.kind == listen.kind && !dial.path.empty() && dial.path == listen.path &&
           dial.port == listen.port;
  const auto to = address_in(dial.host);
  if (!to || dial.port != listen.port || !is_own_address(*to)) return false;
  if (listen.host.empty()) return true;
  const auto at = EndpointListener::address_of(listen);
  return at && (*at == *to || (at->is_unspecified() && at->is_v4() == to->is_v4()));
}

// A flow takes two descriptors.
std::size_t max_flows_of() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<std::size_t>(std::min<rlim_t>(limit.rlim_cur, 1 << 30)) / 2;
}

Error has_its_share(const FlowKey& key) {
  return {"refusing connections of " + key.source.address.to_string() + " to the forward " +
              key.target.to_string() + ": this address has half of all connections that are possible",
          {},
          "raise the limit of open files (ulimit -n) if it is to have more"};
}

Task<> carry_in_place(Carrier& carrier, std::unique_ptr<Request> request, ClientQuota::Place,
                      asio::cancellation_signal& cancel) {
  co_await carrier.carry(std::move(request), cancel);
}

}  // namespace

Forwarder::Forwarder(Executor executor, bool has_sandbox)
    : executor_(executor), has_sandbox_(has_sandbox), flows_(max_flows_of()) {}

Result<void> Forwarder::add(const Forward& forward, Admits admits) {
  const bool dials_inside = has_sandbox_ && forward.dial.is_guest();
  const bool listens_inside = has_sandbox_ && forward.listen.is_guest();
  // Said before anybody asks.
  if (!dials_inside)
    if (auto dialled = endpoint_dialer(forward.dial, executor_); !dialled) return dialled.error();
  if (dials_inside)
    if (auto flaw = flaw_of_target(forward.dial)) return *flaw;
  std::unique_ptr<EndpointListener> opened;
  if (!listens_inside) {
    auto listener = EndpointListener::bind(forward.listen);
    if (!listener) return listener.error();
    opened = std::move(*listener);
  }
  if (opened && comes_back(forward.dial, opened->where()))
    return Error{"cannot forward '" + forward.to_string() + "': its connections would come back to it",
                 {},
                 "dial another address or port",
                 ExitCode::usage};
  forwards_.push_back({forward, std::move(admits), std::move(opened)});
  return {};
}

// Directly, or by way of forwards that are there already: each connection would make another one without end.
bool Forwarder::comes_back(const EndpointUrl& dial, const EndpointUrl& listen) const {
  const EndpointUrl* next = &dial;
  for (std::size_t steps = 0; steps <= forwards_.size(); ++steps) {
    if (leads_to(*next, listen)) return true;
    const auto by = std::ranges::find_if(
        forwards_, [&](const One& one) { return one.listener && leads_to(*next, one.listener->where()); });
    if (by == forwards_.end()) return false;
    next = &by->forward.dial;
  }
  return false;
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
  one.carrier.emplace(*one.policy, dialer, parts.ledger, parts.flows, asker, parts.memory);
  ClientSink sink;
  const auto& asked = asker == Asker::client ? one.forward.dial : where;
  sink.key = [protocol = where.protocol(), asked = asked.target().endpoint](const Client& client) {
    return FlowKey{protocol, client.address, asked};
  };
  sink.request = [this, &one, parts](std::unique_ptr<Request> request) {
    carry(one, parts, std::move(request));
  };
  sink.admits = one.admits;
  sink.trouble = [&ledger = parts.ledger](const Error& error) { ledger.dial_failed(error); };
  parts.sources.spawn(one.listener->run(parts.sources, std::move(sink)));
}

// A client address gets at most half of the flows that there are descriptors for, so that another client
// still gets in. In a sandbox all clients are its programs; clients of a datagram socket share places of
// their own (host/listen/datagram_listener.cc).
void Forwarder::carry(One& one, const Parts& parts, std::unique_ptr<Request> request) {
  const auto& where = one.listener->where();
  if (where.is_guest() || where.transport() == Transport::datagram)
    return one.carrier->begin(std::move(request), parts.carried);
  auto place = flows_.take(request->key().source.address, {});
  if (!place) {
    parts.ledger.dial_failed(has_its_share(request->key()));
    return request->refuse(Refusal::reset);
  }
  parts.carried.spawn_cancellable([&](auto& cancel) {
    return carry_in_place(*one.carrier, std::move(request), std::move(place), cancel);
  });
}

std::vector<EndpointUrl> Forwarder::listening() const {
  std::vector<EndpointUrl> all;
  for (const auto& one : forwards_) all.push_back(one.listener ? one.listener->where() : one.forward.listen);
  return all;
}

}  // namespace nsrun
