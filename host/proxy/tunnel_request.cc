#include "host/proxy/tunnel_request.h"

#include <algorithm>

namespace nsrun {
namespace {

constexpr std::string_view established = "HTTP/1.1 200 Connection Established\r\n\r\n";

// A connection of which something was read already.
class WithAhead final : public Connection {
 public:
  explicit WithAhead(ProxyClient client) : client_(std::move(client)) {}

  Task<Result<Chunk>> read(MutableBytes into) override {
    if (client_.ahead.empty()) co_return co_await client_.connection->read(into);
    const auto size = std::min(into.size(), client_.ahead.size());
    std::ranges::copy(as_bytes(client_.ahead).first(size), into.begin());
    client_.ahead.erase(0, size);
    co_return Chunk{size, false};
  }
  Task<Result<void>> write(Bytes bytes) override { return client_.connection->write(bytes); }
  void finish() override { client_.connection->finish(); }
  void reset() override { client_.connection->reset(); }

 private:
  ProxyClient client_;
};

}  // namespace

std::optional<Task<>> TunnelRequest::prepare(const Connection&, bool) { return say_established(); }

// A client that is gone is found by the relay.
Task<> TunnelRequest::say_established() {
  if (!client_.connection) co_return;
  (void)co_await client_.connection->write(as_bytes(established));
}

// Where nothing was said ahead, as is usual, the connection is given on as it is: a kernel socket stays one.
std::unique_ptr<Connection> TunnelRequest::accept() {
  if (!client_.connection) return nullptr;
  auto client = std::exchange(client_, {});
  lent_->is_gone();
  if (client.ahead.empty()) return std::move(client.connection);
  return std::make_unique<WithAhead>(std::move(client));
}

void TunnelRequest::refuse(Refusal) {
  if (client_.connection) lent_->give_back(std::exchange(client_, {}), LentClient::End::not_begun);
}

}  // namespace nsrun
