#pragma once

#include <optional>
#include <string>

#include "host/dialers/proxy.h"
#include "tests/support/dialers_far_side.h"

// A SOCKS5 and an HTTP proxy on loopback, written from the RFCs and not with the code under test. What they
// are asked for they dial directly.

namespace nsrun::test {

struct ProxyOptions {
  IpAddress listen = loopback6;
  std::optional<Credentials> wants;  // refuses others
  bool silent = false;               // takes the request and never answers
  std::string before_answer;         // http: put in front of the answer (an interim response)
  std::string after_answer;          // sent with the answer, in one piece
  IpAddress says_bound = {};         // socks5: where its relay is, as its reply has it
};

struct ProxySeen {
  std::string last_target;  // as the client wrote it: "name:port", "192.0.2.1:port"
};

// Each returns the proxy's own endpoint. `options` and `seen` outlive the loop's tasks.
Target start_socks5_proxy(Loop& loop, const ProxyOptions& options, ProxySeen& seen, Signal& end_associations);
Target start_http_proxy(Loop& loop, const ProxyOptions& options, ProxySeen& seen);

}  // namespace nsrun::test
