#pragma once

#include <memory>
#include <string>

#include "runtime/connection.h"

namespace nsrun {

// A stream of which `ahead` was read already: that is read of it again, before the rest. Where nothing was,
// it is the connection itself: a kernel socket stays one.
std::unique_ptr<Connection> prefixed_connection(std::unique_ptr<Connection> connection, std::string ahead);

}  // namespace nsrun
