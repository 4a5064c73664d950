// What an asker can say where Host is rewritten: what is read does not depend on the pieces it came in, and
// once rewritten it stays as it is.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "host/services/proxy/host_rewriter.h"

namespace {

using namespace nsrun;

// Says a text in two pieces, and then has ended.
class Asker final : public Connection {
 public:
  Asker(std::string text, std::size_t cut) : text_(std::move(text)), cut_(cut) {}
  Task<Result<Chunk>> read(MutableBytes into) override {
    const auto piece = as_bytes(text_).subspan(at_, (at_ < cut_ ? cut_ : text_.size()) - at_);
    const auto size = std::min(piece.size(), into.size());
    std::copy_n(piece.begin(), size, into.begin());
    at_ += size;
    co_return Chunk{size, size == 0};
  }
  Task<Result<void>> write(Bytes) override { co_return Result<void>{}; }
  void finish() override {}
  void reset() override {}

 private:
  const std::string text_;
  const std::size_t cut_;
  std::size_t at_ = 0;
};

Task<> read_all(Connection& from, std::string& all) {
  std::string buffer(300, '\0');
  for (;;) {
    const auto chunk = co_await from.read(std::as_writable_bytes(std::span(buffer)));
    if (!chunk || chunk->end) co_return;
    all += buffer.substr(0, chunk->size);
  }
}

std::string rewritten(const std::string& text, std::size_t cut) {
  asio::io_context context(1);
  const auto connection = rewrite_host(std::make_unique<Asker>(text, cut), "new.example");
  std::string all;
  bool ended = false;
  asio::co_spawn(context, read_all(*connection, all), [&](std::exception_ptr) { ended = true; });
  context.run();
  if (!ended) std::abort();
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto whole = rewritten(text, text.size());
  if (rewritten(text, text.size() * data[0] / 256) != whole) std::abort();
  if (rewritten(whole, whole.size()) != whole) std::abort();
  return 0;
}
