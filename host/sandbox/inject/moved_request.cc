#include "host/sandbox/inject/moved_request.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include "host/sandbox/inject/moved_flows.h"
#include "runtime/cancellation.h"

namespace nsrun {
namespace {

// As run_on, and a cancellation reaches the task: whoever inspects a flow stops reading it when it agrees.
Task<> run_there(asio::io_context& other, Task<> task) {
  const Executor home = co_await asio::this_coro::executor;
  Timer ended(home, Clock::time_point::max());
  bool over = false, is_told = false;
  const auto cancel = std::make_shared<TaskCancellation>();
  auto at_end = [&over, &ended, home, cancel](std::exception_ptr) {
    asio::post(home, [&over, &ended] {
      over = true;
      ended.cancel();
    });
  };
  asio::co_spawn(other, cancel->guard(std::move(task)),
                 asio::bind_cancellation_slot(cancel->slot(), std::move(at_end)));
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  while (!over) {
    co_await ended.async_wait(use_result);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (over || is_told || state.cancelled() == asio::cancellation_type::none) continue;
    is_told = true;
    asio::post(other, [cancel] { cancel->cancel(); });
  }
  co_await asio::this_coro::throw_if_cancelled(throws);
}

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
  co_await run_there(flows_.home(), There::read(*there_, into, chunk));
  if (chunk) co_return *chunk;
  unwind_if_cancelled(co_await asio::this_coro::cancellation_state);
  co_return left();
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
  record->leave();
  auto go_on = [&flows = flows_, there = std::move(there_), socket = std::move(far),
                flow = std::move(record)]() mutable {
    there->end();
    flows.carry(std::move(there->near), std::move(socket), std::move(flow));
  };
  asio::post(flows_.home(), std::move(go_on));
  return true;
}

}  // namespace nsrun
