// Theory of operation
//
//   client ─► serve: head, head, … ─┬─ CONNECT ─► TunnelRequest   ─► carry ─► relay with the client's own
//   socket
//                                   └─ else ────► ExchangeRequest ─► carry ─► relay with an Exchange
//
// A task reads a client's heads. Each request is lent the client, is carried as any other, and gives the
// client back: with an answer, and then the next head is read; without one, and then the task says 502. A
// tunnel keeps the client. A name goes into the flow's key as its synthetic address, by which policies know
// names.

#include "host/services/proxy/http_proxy.h"

#include <random>

#include "host/services/proxy/exchange.h"
#include "host/services/proxy/tunnel_request.h"

namespace nsrun {
namespace {

constexpr auto rejection_time = 2s;  // for a client to read why it is closed, before it is

// Differs from process to process, so that a proxy knows its own requests and no other's.
std::string pseudonym() {
  constexpr std::string_view digits = "0123456789abcdef";
  std::random_device random;
  std::string name = "nsrun-";
  for (int i = 0; i < 8; ++i) name += digits[random() % digits.size()];
  return name;
}

// Closes once the client has read what it was told: what it still sends is read, for a close that leaves
// bytes unread would take the answer away from it.
Task<> close(ProxyClient& client) {
  const auto drain = [](ProxyClient& from) -> Task<> {
    for (bool more = true; more;) {
      from.ahead.clear();
      const auto read = co_await from.read();
      more = read && *read;
    }
  };
  client.connection->finish();
  co_await either(drain(client), sleep_for(rejection_time));
}

Task<> answer_and_close(ProxyClient& client, std::string_view status, std::string why) {
  why += "\n";
  const std::string answer = "HTTP/1.1 " + std::string(status) +
                             "\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(why.size()) +
                             "\r\nConnection: close\r\n\r\n" + why;
  const auto written = co_await within(rejection_time, client.connection->write(as_bytes(answer)));
  if (written && *written) co_await close(client);
}

}  // namespace

Result<std::unique_ptr<HttpProxy>> HttpProxy::bind(Service& service, const EndpointUrl& where,
                                                   const DomainMap& map, SyntheticNames& names,
                                                   Policy& others, Limits limits) {
  if (where.transport() != Transport::stream)
    return Error{
        "an HTTP proxy cannot listen at '" + where.text + "'", {}, "write HOST:PORT", ExitCode::usage};
  auto listener = EndpointListener::bind(where);
  if (!listener) return listener.error();
  return std::unique_ptr<HttpProxy>(new HttpProxy(service, std::move(*listener), map, names, others, limits));
}

HttpProxy::HttpProxy(Service& service, std::unique_ptr<EndpointListener> listener, const DomainMap& map,
                     SyntheticNames& names, Policy& others, Limits limits)
    : service_(service),
      listener_(std::move(listener)),
      names_(names),
      limits_(limits),
      requests_(pseudonym()),
      policy_(map, names, others),
      dialer_(service.world(), limits.dial),
      carrier_(service.carrier(policy_, dialer_)),
      places_(limits.clients) {}

void HttpProxy::begin() {
  auto sink = service_.sink_to(carrier_);
  sink.key = [](const Client& client) { return FlowKey{Protocol::tcp, client.address, {}}; };
  sink.request = [this](std::unique_ptr<Request> request) {
    const Who who{request->key().source, request->asker()};
    service_.sources().spawn_cancellable([&](auto& cancel) {
      return serve({request->accept(), {}}, who, cancel);
    });
  };
  service_.sources().spawn(listener_->run(service_.sources(), std::move(sink)));
}

// A client that has no request under way gives way to those that come after it.
Task<> HttpProxy::serve(ProxyClient client, Who who, asio::cancellation_signal& cancel) {
  bool waits = true;
  const auto place = places_.take(who.source.address, [&] {
    if (waits) cancel.emit(asio::cancellation_type::terminal);
    return waits;
  });
  if (!place) co_return;
  for (;;) {
    const auto in_time = co_await within(limits_.between, begun(client));
    if (!in_time || !*in_time) co_return;
    auto request = co_await next_request(client);
    if (!request) co_return;
    waits = false;
    const bool goes_on = co_await carry(client, who, std::move(*request));
    if (!goes_on) co_return;
    waits = true;
  }
}

// Until something of a request is there; false: nothing will come.
Task<bool> HttpProxy::begun(ProxyClient& client) {
  // An empty line between requests is no part of one (RFC 9112 2.2).
  for (;;) {
    client.ahead.erase(0, client.ahead.find_first_not_of("\r\n"));
    if (!client.ahead.empty()) co_return true;
    const auto more = co_await client.read();
    if (!more || !*more) co_return false;
  }
}

// Nothing: there is none, and the client has been told why.
Task<std::optional<ProxiedRequest>> HttpProxy::next_request(ProxyClient& client) {
  auto read = co_await within(limits_.head, read_request(client));
  if (!read) {
    co_await answer_and_close(client, "408 Request Timeout", "the request's head took too long");
    co_return std::nullopt;
  }
  if (!*read && read->error().code.value() != EPROTO) co_return std::nullopt;
  if (!*read) {
    co_await answer_and_close(client, "400 Bad Request", read->error().doing);
    co_return std::nullopt;
  }
  co_return std::move(**read);
}

Task<Result<ProxiedRequest>> HttpProxy::read_request(ProxyClient& client) {
  std::unique_ptr<RequestParser> parser;
  for (;;) {
    std::size_t size = 0;
    auto request = requests_.take(client.ahead, size, parser);
    if (!request) co_return request.error();
    if (size > 0) {
      client.ahead.erase(0, size);
      co_return request;
    }
    const auto more = co_await client.read();
    if (!more) co_return more.error();
    if (!*more) co_return Error{"the client ended within a request's head", errno_code(ECONNRESET)};
  }
}

FlowKey HttpProxy::key_for(const Who& who, const Authority& where) {
  // An address of the range that stands for names is judged as what the client wrote, and not as the name
  // that another request was given it for.
  const auto address = where.address();
  const bool is_itself = address && !SyntheticNames::covers(*address);
  return {Protocol::tcp, who.source, {is_itself ? *address : names_.v4_for(where.host), where.port}};
}

// True: another request may follow.
Task<bool> HttpProxy::carry(ProxyClient& client, const Who& who, ProxiedRequest request) {
  const auto lent = std::make_shared<ClientLease>(service_.executor());
  const auto key = key_for(who, request.where);
  const auto place = request.where.to_string();
  if (request.is_connect)
    carrier_.begin(std::make_unique<TunnelRequest>(key, who.name, std::exchange(client, {}), lent),
                   service_.flows_scope());
  else
    carrier_.begin(std::make_unique<ExchangeRequest>(service_.executor(), key, who.name, std::move(request),
                                                     std::exchange(client, {}), lent),
                   service_.flows_scope());
  co_await lent->back();
  client = lent->take();
  if (lent->end() == ClientLease::End::not_begun)
    co_await answer_and_close(client, "502 Bad Gateway", place + " cannot be reached from here");
  if (lent->end() == ClientLease::End::over) co_await close(client);
  co_return lent->end() == ClientLease::End::goes_on;
}

}  // namespace nsrun
