#pragma once

#include <optional>

#include "host/dialers/http_connect.h"

namespace nsrun {

// Through an HTTP/1.1 proxy's CONNECT: tcp only. Names go to the proxy unresolved. The connection is the
// inner dialer's own, so a kernel socket stays one.
class HttpConnectDialer final : public Dialer {
 public:
  // `inner` reaches the proxy.
  HttpConnectDialer(std::unique_ptr<Dialer> inner, Target proxy, std::optional<Credentials> credentials = {},
                    Clock::duration limit = proxy_handshake_limit);
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;

 private:
  std::unique_ptr<Dialer> inner_;
  Target proxy_;
  std::optional<Credentials> credentials_;
  Clock::duration limit_;  // for all of the handshake
};

}  // namespace nsrun
