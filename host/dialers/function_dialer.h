#pragma once

#include <functional>

#include "host/flow/dialer.h"
#include "host/flow/memory_pipe.h"

namespace nsrun {

// Every flow ends in a function of this process: fakes in tests, services inside an embedding program.
class FunctionDialer final : public Dialer {
 public:
  // The far side of one flow, as a task to run, or an error: the dial's. A coroutine function that takes both
  // by value fits as it is.
  using Handler = std::function<Result<Task<>>(std::unique_ptr<Connection> near, Target target)>;

  // `handlers` owns the tasks, and its owner ends them; it outlives the dialer. `capacity`: of the pipe to
  // each.
  FunctionDialer(Scope& handlers, Handler handler, std::size_t capacity = memory_pipe_capacity);
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;

 private:
  Scope& handlers_;
  Handler handler_;
  const std::size_t capacity_;  // bytes each way
};

}  // namespace nsrun
