#pragma once

#include "host/flow/dialer.h"

namespace nsrun {

// The host's loopback is one place with two addresses, and many servers listen at one of them alone. So a TCP
// target that is a loopback address, and whose `permits` allows the other one, is dialled there when nobody
// listens at the first.
class LoopbackDialer final : public Dialer {
 public:
  // `inner` outlives it.
  explicit LoopbackDialer(Dialer& inner) : inner_(inner) {}
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;

 private:
  Dialer& inner_;
};

}  // namespace nsrun
