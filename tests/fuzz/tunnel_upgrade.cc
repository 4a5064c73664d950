// What a client can send a tunnel's server: a request, and behind it a WebSocket's frames, which Beast reads,
// and the wires in them.

#include <boost/asio/io_context.hpp>
#include <cstdint>

#include "host/flow/memory_pipe.h"
#include "host/tunnel/tunnel_session.h"
#include "host/tunnel/upgrade.h"

namespace {

using namespace nsrun;

// Has no listeners, and refuses every stream.
class Nobody final : public TunnelEvents {
 public:
  void stream_asked(std::unique_ptr<IncomingStream> arrival) override {
    arrival->refuse(tunnel::Reason::refused);
  }
};

Task<> serve(std::unique_ptr<Connection> client) {
  const UpgradeRules rules;
  auto given = co_await give_tunnel(std::move(client), rules);
  if (!given) co_return;
  Nobody nobody;
  const Executor executor = co_await asio::this_coro::executor;
  TunnelSession session(executor, std::move(given->socket), given->is_binary,
                        {TunnelSession::Role::server, {}, {}}, nobody);
  (void)co_await session.run();
}

// Says it all, and takes what comes back to its end.
Task<> ask(std::unique_ptr<Connection> server, Bytes bytes) {
  (void)co_await server->write(bytes);
  server->finish();
  std::vector<std::byte> buffer(4096);
  for (bool more = true; more;) {
    const auto chunk = co_await server->read(buffer);
    more = chunk && !chunk->end;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  asio::io_context context(1);
  auto [near, far] = memory_pipe(context.get_executor(), Transport::stream);
  const auto ended = [](std::exception_ptr) {};
  asio::co_spawn(context, serve(std::move(near)), ended);
  asio::co_spawn(context, ask(std::move(far), std::as_bytes(std::span(data, size))), ended);
  context.run();
  return 0;
}
