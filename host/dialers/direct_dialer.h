#pragma once

#include "host/dialers/resolving_dialer.h"

namespace nsrun {

// The host's own network: tcp, udp and icmp echo, IPv4 and IPv6. Every connection is a kernel socket.
class DirectDialer final : public Dialer {
 public:
  // `check` judges the addresses that names resolve to.
  explicit DirectDialer(Executor executor, AddressCheck check = {});
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;

 private:
  Executor executor_;
  AddressCheck check_;
};

}  // namespace nsrun
