#pragma once

#include "runtime/task.h"

namespace nsrun::test {

// One event loop and the tasks a test leaves running beside its own: servers, proxies.
class Loop {
 public:
  Loop() : beside(context.get_executor()) {}

  // Runs the test's task to its end, then ends those beside it. What it throws (a failed REQUIRE too) is
  // thrown here; so is a runtime_error when it takes longer than a minute.
  void run(Task<> body);
  Executor executor() { return context.get_executor(); }

  asio::io_context context{1};
  Scope beside;
};

// Lets everything else that is ready run once.
Task<> give_way();

}  // namespace nsrun::test
