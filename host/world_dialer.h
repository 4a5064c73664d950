#pragma once

#include "host/dialers/via_dialer.h"
#include "host/host.h"

namespace nsrun {

// How a sandbox's flows get out, for one thread: by the dialer that the target's rule names, or by the
// sandbox's.
class WorldDialer final : public Dialer {
 public:
  WorldDialer(Executor executor, const HostOptions& options);
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override { return via_.dial(target); }

 private:
  const std::unique_ptr<Dialer> usual_;
  ViaDialer via_;
};

}  // namespace nsrun
