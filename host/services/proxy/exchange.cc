// Theory of operation
//
// A relay carries the exchange as it carries any stream, so the exchange must say when it ends: both messages
// are followed by Beast's parser. The server must not see the client's side finished before it has answered
// (many take that for a client that left), so once the body is read the next read waits for the answer's end;
// only then the relay finishes the server's connection, which ends the flow.
//
// While it waits, the client is read on: what it says is its next request, and stays for that; its end is no
// reason to stop, a half-close is a way to ask; a reset is one. The client goes back in a read, where nobody
// else has it in hands, or when the exchange goes.
//
// A server that ends before a byte of its answer has reached the client leaves the client whole, for a 502.
// One that ends in the midst takes the client's connection with it: a part must not look like a whole.

#include "host/services/proxy/exchange.h"

#include <algorithm>

namespace nsrun {
namespace {

constexpr std::size_t max_ahead = 65'536;  // bytes of further requests; then they stay with the kernel

Error not_http(const Error& why) { return {"the client's " + why.doing, errno_code(EPROTO)}; }

}  // namespace

Exchange::Exchange(Executor executor, ProxiedRequest request, ProxyClient client,
                   std::shared_ptr<ClientLease> lent)
    : request_(std::move(request)),
      response_(request_.asks_head, request_.keeps_alive),
      client_(std::move(client)),
      lent_(std::move(lent)),
      over_(executor) {}

Exchange::~Exchange() { give_back(); }

Task<Result<Chunk>> Exchange::read(MutableBytes into) {
  if (!request_.head.empty()) {
    const auto size = std::min(into.size(), request_.head.size());
    std::ranges::copy(as_bytes(request_.head).first(size), into.begin());
    request_.head.erase(0, size);
    co_return Chunk{size, false};
  }
  if (!request_.rest->is_done() || open_ > 0) {
    const auto open = co_await body();
    if (!open) co_return open.error();
    const auto size = std::min(into.size(), *open);
    std::ranges::copy(as_bytes(client_.ahead).first(size), into.begin());
    client_.ahead.erase(0, size);
    open_ = *open - size;
    co_return Chunk{size, false};
  }
  if (auto answered = co_await answer(); !answered) co_return answered.error();
  co_return Chunk{0, true};
}

// How many bytes of the body there are now, more than none.
Task<Result<std::size_t>> Exchange::body() {
  while (open_ == 0) {
    if (!client_.ahead.empty()) {
      const auto part = request_.rest->take(client_.ahead);
      if (!part) co_return not_http(part.error());
      open_ = part->size;
      if (open_ > 0) break;
    }
    co_await read_on();
    if (is_over_) co_return Error{"the server answered before it had the request", errno_code(EPIPE)};
    if (client_broke_ || client_ended_)
      co_return Error{"the client ended within its request", errno_code(ECONNRESET)};
  }
  co_return open_;
}

Task<Result<void>> Exchange::answer() {
  while (!is_over_ && !client_broke_) co_await read_on();
  if (!is_over_) co_return Error{"the client broke the connection", errno_code(ECONNRESET)};
  give_back();
  co_return Result<void>{};
}

// Until the client has said something more, or all is over.
Task<> Exchange::read_on() {
  if (is_over_) co_return;
  const bool reads = !client_ended_ && client_.ahead.size() < max_ahead;
  if (reads)
    co_await either(over_.wait(), watch_client());
  else
    co_await over_.wait();
}

Task<> Exchange::watch_client() {
  const auto more = co_await client_.read();
  client_broke_ = !more;
  client_ended_ = more && !*more;
}

Task<Result<void>> Exchange::write(Bytes bytes) {
  if (!held_.empty()) held_ += as_text(bytes);
  const auto all = held_.empty() ? as_text(bytes) : std::string_view(held_);
  const auto understood = co_await answer_with(all);
  if (!understood) co_return understood.error();
  held_ = std::string(all.substr(*understood));
  co_return Result<void>{};
}

// How many of these bytes the client has got now.
Task<Result<std::size_t>> Exchange::answer_with(std::string_view bytes) {
  std::size_t size = 0;
  while (size < bytes.size()) {
    if (!client_.connection || is_over_)
      co_return Error{"the server goes on after its answer", errno_code(EPIPE)};
    const bool is_whole = request_.head.empty() && request_.rest->is_done() && open_ == 0;
    const auto piece = response_.take(bytes.substr(size), is_whole);
    if (!piece) co_return piece.error();
    if (piece->size == 0) break;
    const auto said = piece->head.empty() ? bytes.substr(size, piece->size) : std::string_view(piece->head);
    const auto written = co_await client_.connection->write(as_bytes(said));
    if (!written) co_return written.error();
    size += piece->size;
    if (response_.done()) end();
  }
  co_return size;
}

void Exchange::end() {
  is_over_ = true;
  over_.raise();
}

void Exchange::finish() {
  response_.end();
  if (response_.begun() && !response_.done()) return reset();
  end();
}

void Exchange::reset() {
  broken_ = true;
  if (client_.connection && response_.begun() && !response_.done()) {
    client_.connection->reset();
    client_.connection.reset();
  }
  end();
}

void Exchange::give_back() {
  if (!lent_) return;
  const auto lent = std::exchange(lent_, nullptr);
  if (!client_.connection || client_broke_) return lent->is_gone();
  const bool goes_on = response_.keeps_alive() && !broken_;
  const auto end = !response_.begun() ? ClientLease::End::not_begun
                   : goes_on          ? ClientLease::End::goes_on
                                      : ClientLease::End::over;
  lent->give_back(std::exchange(client_, {}), end);
}

std::unique_ptr<Connection> ExchangeRequest::accept() {
  if (!client_.connection) return nullptr;
  return std::make_unique<Exchange>(executor_, std::move(request_), std::exchange(client_, {}), lent_);
}

void ExchangeRequest::refuse(Refusal) {
  if (client_.connection) lent_->give_back(std::exchange(client_, {}), ClientLease::End::not_begun);
}

}  // namespace nsrun
