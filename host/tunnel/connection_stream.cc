#include "host/tunnel/connection_stream.h"

#include <algorithm>

namespace nsrun {

// Both begin with a turn of the loop: Asio's operations never end within the call that begins them.

Task<ConnectionStream::Done> ConnectionStream::read(MutableBytes into) {
  co_await asio::post(executor_, use_task);
  if (!first_.empty()) {
    const auto size = std::min(into.size(), first_.size());
    std::copy_n(as_bytes(first_).begin(), size, into.begin());
    first_.erase(0, size);
    co_return Done{{}, size};
  }
  if (into.empty()) co_return Done{{}, 0};
  const auto chunk = co_await connection_->read(into);
  if (!chunk) co_return Done{chunk.error().code ? chunk.error().code : asio::error::connection_reset, 0};
  if (chunk->end) co_return Done{asio::error::eof, 0};
  co_return Done{{}, chunk->size};
}

Task<ConnectionStream::Done> ConnectionStream::write(std::vector<Bytes> pieces) {
  co_await asio::post(executor_, use_task);
  std::size_t size = 0;
  std::vector<std::byte> joined;
  Bytes whole = pieces.size() == 1 ? pieces.front() : Bytes{};
  if (pieces.size() > 1) {
    for (const auto piece : pieces) joined.insert(joined.end(), piece.begin(), piece.end());
    whole = joined;
  }
  size = whole.size();
  if (size == 0) co_return Done{{}, 0};
  const auto written = co_await connection_->write(whole);
  if (!written)
    co_return Done{written.error().code ? written.error().code : asio::error::connection_reset, 0};
  co_return Done{{}, size};
}

void teardown(boost::beast::role_type, ConnectionStream& stream, boost::system::error_code& error) {
  error = {};
  stream.connection().finish();
}

void beast_close_socket(ConnectionStream& stream) { stream.connection().reset(); }
void abort_stream(ConnectionStream& stream) { stream.connection().reset(); }

}  // namespace nsrun
