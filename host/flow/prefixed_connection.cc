#include "host/flow/prefixed_connection.h"

#include <algorithm>

namespace nsrun {
namespace {

class WithAhead final : public Connection {
 public:
  WithAhead(std::unique_ptr<Connection> connection, std::string ahead)
      : connection_(std::move(connection)), ahead_(std::move(ahead)) {}

  Task<Result<Chunk>> read(MutableBytes into) override {
    if (ahead_.empty()) co_return co_await connection_->read(into);
    const auto size = std::min(into.size(), ahead_.size());
    std::ranges::copy(as_bytes(ahead_).first(size), into.begin());
    ahead_.erase(0, size);
    co_return Chunk{size, false};
  }
  Task<Result<void>> write(Bytes bytes) override { return connection_->write(bytes); }
  void finish() override { connection_->finish(); }
  void reset() override { connection_->reset(); }

 private:
  const std::unique_ptr<Connection> connection_;
  std::string ahead_;
};

}  // namespace

std::unique_ptr<Connection> prefixed_connection(std::unique_ptr<Connection> connection, std::string ahead) {
  if (ahead.empty()) return connection;
  return std::make_unique<WithAhead>(std::move(connection), std::move(ahead));
}

}  // namespace nsrun
