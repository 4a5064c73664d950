#include "host/services/proxy/tunnel_request.h"

#include "host/flow/prefixed_connection.h"

namespace nsrun {
namespace {

constexpr std::string_view established = "HTTP/1.1 200 Connection Established\r\n\r\n";

}  // namespace

std::optional<Task<>> TunnelRequest::prepare(const Connection&, bool) { return say_established(); }

// A client that is gone is found by the relay.
Task<> TunnelRequest::say_established() {
  if (!client_.connection) co_return;
  (void)co_await client_.connection->write(as_bytes(established));
}

std::unique_ptr<Connection> TunnelRequest::accept() {
  if (!client_.connection) return nullptr;
  auto client = std::exchange(client_, {});
  lent_->is_gone();
  return prefixed_connection(std::move(client.connection), std::move(client.ahead));
}

void TunnelRequest::refuse(Refusal) {
  if (client_.connection) lent_->give_back(std::exchange(client_, {}), ClientLease::End::not_begun);
}

}  // namespace nsrun
