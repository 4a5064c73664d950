#pragma once

#include "host/dialers/direct_dialer.h"

namespace nsrun {

// How the host's own name servers are reached: directly, and also at link-local addresses, whose targets have
// address and zone as their name ("fe80::1%eth0", RFC 4007 11). Only what resolv.conf(5) says is dialled
// here: a name that others choose could reach past the policy's rules about link-local addresses.
class NameServerDialer final : public Dialer {
 public:
  explicit NameServerDialer(Executor executor) : executor_(executor), direct_(executor) {}
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;

 private:
  Executor executor_;
  DirectDialer direct_;
};

}  // namespace nsrun
