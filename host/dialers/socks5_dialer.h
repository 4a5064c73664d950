#pragma once

#include <optional>

#include "host/dialers/proxy.h"
#include "host/dialers/socks5.h"

namespace nsrun {

// Through a SOCKS5 proxy: tcp by CONNECT, udp by UDP ASSOCIATE. Names go to the proxy unresolved. A tcp
// connection is the inner dialer's own, so a kernel socket stays one.
class Socks5Dialer final : public Dialer {
 public:
  // `inner` reaches the proxy and, for udp, the relay it names.
  Socks5Dialer(std::unique_ptr<Dialer> inner, Target proxy, std::optional<Credentials> credentials = {},
               Clock::duration limit = proxy_handshake_limit);
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;

 private:
  Task<Result<socks5::Address>> negotiate(Connection& proxy, socks5::Command command, const Target& target);
  Task<Result<void>> log_in(Connection& proxy);
  Task<Result<std::unique_ptr<Connection>>> associate(std::unique_ptr<Connection> control,
                                                      const socks5::Address& bound, const Target& target);

  std::unique_ptr<Dialer> inner_;
  Target proxy_;
  std::optional<Credentials> credentials_;
  Clock::duration limit_;  // for all of the handshake
};

}  // namespace nsrun
