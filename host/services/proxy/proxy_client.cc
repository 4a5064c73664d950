#include "host/services/proxy/proxy_client.h"

namespace nsrun {

Task<Result<bool>> ProxyClient::read() {
  const auto size = ahead.size();
  ahead.resize(size + max_read);
  // Cut back to what was read, also when the task is cancelled.
  struct Fit {
    std::string& text;
    std::size_t size;
    ~Fit() { text.resize(size); }
  } fit{ahead, size};
  const auto chunk = co_await connection->read(std::as_writable_bytes(std::span(ahead)).subspan(size));
  if (!chunk) co_return chunk.error();
  fit.size += chunk->size;
  co_return !chunk->end;
}

}  // namespace nsrun
