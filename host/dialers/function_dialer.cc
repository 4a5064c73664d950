#include "host/dialers/function_dialer.h"

namespace nsrun {

FunctionDialer::FunctionDialer(Scope& handlers, Handler handler, std::size_t capacity)
    : handlers_(handlers), handler_(std::move(handler)), capacity_(capacity) {}

Task<Result<std::unique_ptr<Connection>>> FunctionDialer::dial(const Target& target) {
  const auto transport = target.protocol == Protocol::tcp ? Transport::stream : Transport::datagram;
  auto [ours, theirs] = memory_pipe(handlers_.executor(), transport, capacity_);
  auto task = handler_(std::move(theirs), target);
  if (!task) co_return task.error();
  handlers_.spawn(std::move(*task));
  co_return std::move(ours);
}

}  // namespace nsrun
