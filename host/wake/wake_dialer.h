#pragma once

#include "host/dialer.h"
#include "host/wake/wake_group.h"

namespace nsrun {

// Before it dials, it makes sure that what it dials runs; who asks is held meanwhile.
class WakeDialer final : public Dialer {
 public:
  // Both outlive the dialer.
  WakeDialer(WakeGroup& group, Dialer& inner) : group_(group), inner_(inner) {}
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;

 private:
  WakeGroup& group_;
  Dialer& inner_;
};

}  // namespace nsrun
