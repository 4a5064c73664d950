#include "host/inject/moved_request.h"

#include <boost/asio/post.hpp>

#include "host/inject/moved_flows.h"

namespace nsrun {
namespace {

Error left() { return {"the command has given its connection up", errno_code(ECONNRESET)}; }

}  // namespace

MovedRequest::~MovedRequest() {
  if (request_) asio::post(flows_->home(), [request = std::move(request_)] {});
}

std::unique_ptr<Connection> MovedRequest::accept() {
  return std::make_unique<MovedConnection>(*flows_, std::move(request_));
}

void MovedRequest::refuse(Refusal how) {
  asio::post(flows_->home(), [request = std::move(request_), how] { request->refuse(how); });
}

void MovedRequest::give_back() { flows_->settle(std::move(request_)); }

struct MovedConnection::There {
  std::unique_ptr<Request> request;
  std::unique_ptr<Connection> near = {};

  // The request is accepted when its end is first used.
  Connection* end() {
    if (const auto asked = std::move(request)) near = asked->accept();
    return near.get();
  }
  static Task<> read(There& there, MutableBytes into, std::optional<Result<Chunk>>& chunk) {
    if (Connection* near = there.end()) chunk = co_await near->read(into);
  }
  static Task<> write(There& there, Bytes bytes, std::optional<Result<void>>& written) {
    if (Connection* near = there.end()) written = co_await near->write(bytes);
  }
};

MovedConnection::MovedConnection(MovedFlows& flows, std::unique_ptr<Request> request)
    : flows_(flows), there_(std::make_unique<There>(There{std::move(request)})) {}

MovedConnection::~MovedConnection() {
  asio::post(flows_.home(), [there = std::move(there_)] {});
}

Task<Result<Chunk>> MovedConnection::read(MutableBytes into) {
  std::optional<Result<Chunk>> chunk;
  co_await run_on(flows_.home(), There::read(*there_, into, chunk));
  if (!chunk) co_return left();
  co_return *chunk;
}

Task<Result<void>> MovedConnection::write(Bytes bytes) {
  std::optional<Result<void>> written;
  co_await run_on(flows_.home(), There::write(*there_, bytes, written));
  if (!written) co_return left();
  co_return *written;
}

void MovedConnection::finish() {
  asio::post(flows_.home(), [there = there_.get()] {
    if (Connection* near = there->end()) near->finish();
  });
}

void MovedConnection::reset() {
  asio::post(flows_.home(), [there = there_.get()] {
    if (Connection* near = there->end()) near->reset();
  });
}

bool MovedConnection::carry_on(UniqueFd& far, std::unique_ptr<FlowRecord>& record, bool) {
  flows_.carry(std::move(there_->request), std::move(far), std::move(record));
  return true;
}

}  // namespace nsrun
