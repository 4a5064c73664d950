#include "host/services/vsock/handshake.h"

#include <sys/socket.h>

#include <array>

#include "host/endpoints/endpoint_dialer.h"

namespace nsrun {
namespace {

Task<bool> hear(EndpointUrl where) {
  const Executor executor = co_await asio::this_coro::executor;
  const auto dialer = endpoint_dialer(where, executor);
  if (!dialer) co_return false;
  const Target target = where.target();
  const auto connection = co_await (*dialer)->dial(target);
  if (!connection) co_return false;
  std::array<std::byte, vsock_greeting.size()> heard;
  for (std::size_t size = 0; size < heard.size();) {
    const auto chunk = co_await (*connection)->read(MutableBytes(heard).subspan(size));
    if (!chunk || chunk->end) co_return false;
    size += chunk->size;
  }
  co_return std::string_view(reinterpret_cast<const char*>(heard.data()), heard.size()) == vsock_greeting;
}

}  // namespace

void greet(UniqueFd client) {
  // A new connection's buffer has room for this.
  (void)!::send(client.get(), vsock_greeting.data(), vsock_greeting.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

Task<bool> hears_greeting(EndpointUrl where, Clock::duration limit) {
  const auto heard = co_await within(limit, hear(std::move(where)));
  co_return heard&&* heard;
}

}  // namespace nsrun
