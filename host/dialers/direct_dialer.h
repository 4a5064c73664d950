#pragma once

#include "host/dialers/resolving_dialer.h"
#include "host/dialers/udp_mappings.h"

namespace nsrun {

// The host's own network: tcp, udp and icmp echo, IPv4 and IPv6. Every connection is a kernel socket.
class DirectDialer final : public Dialer {
 public:
  // `mappings`: of a guest whose UDP sockets keep their ports, or null; outlives the dialer.
  explicit DirectDialer(Executor executor, UdpMappings* mappings = nullptr)
      : executor_(executor), mappings_(mappings) {}
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;

 private:
  Executor executor_;
  UdpMappings* mappings_;
};

}  // namespace nsrun
