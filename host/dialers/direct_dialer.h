#pragma once

#include "host/dialers/resolving_dialer.h"

namespace nsrun {

// The host's own network: tcp, udp and icmp echo, IPv4 and IPv6. Every connection is a kernel socket.
class DirectDialer final : public Dialer {
 public:
  explicit DirectDialer(Executor executor) : executor_(executor) {}
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;

 private:
  Executor executor_;
};

}  // namespace nsrun
