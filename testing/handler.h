#pragma once

#include <functional>
#include <memory>

#include "runtime/connection.h"

namespace nsrun::testing {

// Answers one flow: reads what the program sends, writes what it gets. Over TLS it sees what is inside. A
// coroutine; what it throws fails the test. A datagram flow's connection ends with the program, or by being
// idle.
using Handler = std::function<Task<>(std::unique_ptr<Connection>)>;

}  // namespace nsrun::testing
