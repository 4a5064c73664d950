// Theory of operation
//
// A request's head is held until it is whole, changed, and given on; bodies are given on as they come, framed
// by Beast's parser so that the next head is found. Nothing that could not become a request is held: an asker
// who speaks another protocol, and then waits for an answer, would wait for ever. So the first line must be
// on its way to "METHOD TARGET HTTP/1.x" with a method that is known. What is not is given on as it came, and
// so is all that follows: after an Upgrade that was granted the asker speaks something else, after one that
// was not it goes on with requests, and after a CONNECT it is another host's business.

#include "host/services/proxy/host_rewriter.h"

#include <algorithm>
#include <boost/beast/http/verb.hpp>

#include "host/http/head.h"
#include "host/http/message_parser.h"

namespace nsrun {
namespace {

namespace http = boost::beast::http;

bool begins_method(std::string_view text) {
  for (auto each = static_cast<unsigned>(http::verb::unknown) + 1;
       each <= static_cast<unsigned>(http::verb::unlink); ++each) {
    const auto verb = static_cast<http::verb>(each);
    const auto name = http::to_string(verb);
    if (verb != http::verb::connect && std::string_view(name.data(), name.size()).starts_with(text))
      return true;
  }
  return false;
}

// Whether this may begin a request, or its beginning.
bool may_be_request(std::string_view text) {
  const auto method = text.substr(0, text.find(' '));
  if (method.size() == text.size()) return begins_method(method);
  const auto verb = http::string_to_verb({method.data(), method.size()});
  if (verb == http::verb::unknown || verb == http::verb::connect) return false;
  const auto line = text.substr(0, text.find("\r\n"));
  return line.size() == text.size() || line.ends_with(" HTTP/1.1") || line.ends_with(" HTTP/1.0");
}

class HostRewriter final : public Connection {
 public:
  HostRewriter(std::unique_ptr<Connection> near, std::string host)
      : near_(std::move(near)), host_(std::move(host)) {}

  Task<Result<Chunk>> read(MutableBytes into) override;
  Task<Result<void>> write(Bytes bytes) override { return near_->write(bytes); }
  void finish() override { near_->finish(); }
  void reset() override { near_->reset(); }

 private:
  void follow();
  void pass_on(std::string_view bytes) { ready_ += bytes; }
  Chunk give(MutableBytes into);

  const std::unique_ptr<Connection> near_;
  const std::string host_;
  std::unique_ptr<RequestParser> parser_;  // of the request under way
  std::string held_;                       // read, and not understood yet
  std::string ready_;                      // to be given on, from given_ on
  std::size_t given_ = 0;
  bool is_http_ = true, ended_ = false;
};

Task<Result<Chunk>> HostRewriter::read(MutableBytes into) {
  while (given_ == ready_.size()) {
    if (ended_) co_return Chunk{0, true};
    const auto chunk = co_await near_->read(into);
    if (!chunk || (!is_http_ && !chunk->end)) co_return chunk;
    ended_ = chunk->end;
    held_ += as_text(Bytes(into).first(chunk->size));
    follow();
  }
  co_return give(into);
}

Chunk HostRewriter::give(MutableBytes into) {
  const std::size_t size = std::min(into.size(), ready_.size() - given_);
  const auto bytes = as_bytes(ready_).subspan(given_, size);
  std::copy(bytes.begin(), bytes.end(), into.begin());
  given_ += size;
  if (given_ == ready_.size()) ready_.clear(), given_ = 0;
  return {size, false};
}

void HostRewriter::follow() {
  std::string_view rest = held_;
  while (is_http_ && !ended_ && !rest.empty()) {
    if (!parser_ || parser_->is_done()) parser_ = std::make_unique<RequestParser>();
    is_http_ = parser_->is_header_done() || may_be_request(rest);
    const auto part = is_http_ ? parser_->take(rest) : Result<MessagePart>(MessagePart{});
    is_http_ = is_http_ && part;
    if (!is_http_ || part->size == 0) break;
    const auto bytes = rest.substr(0, part->size);
    rest.remove_prefix(part->size);
    if (!part->is_head) {
      pass_on(bytes);
      continue;
    }
    HttpHead head(bytes);
    head.set("Host", host_);
    pass_on(head.to_string());
  }
  if (!is_http_ || ended_) pass_on(std::exchange(rest, {}));
  held_.erase(0, held_.size() - rest.size());
}

}  // namespace

std::unique_ptr<Connection> rewrite_host(std::unique_ptr<Connection> near, std::string host) {
  return std::make_unique<HostRewriter>(std::move(near), std::move(host));
}

}  // namespace nsrun
