#pragma once

#include <string>

#include "host/flow/dialer.h"

// What the dialers that go through a proxy share.

namespace nsrun {

constexpr auto proxy_handshake_limit = 30s;  // from asking the proxy to its answer; then ETIMEDOUT

struct Credentials {
  std::string user, password;
};

// Fills `into`. A connection that ends before is an error (ECONNRESET).
Task<Result<void>> read_exactly(Connection& from, MutableBytes into);

// The error of a dial that did not get as far as the proxy's answer.
Error proxy_error(const std::string& proxy, const Error& cause);
Error proxy_timeout(const std::string& proxy);
// The proxy itself cannot be reached: no flow gets anywhere until somebody mends that, so it has advice.
Error proxy_unreachable(const std::string& proxy, const Error& cause);

}  // namespace nsrun
