#pragma once

#include "host/dialers/loopback_dialer.h"
#include "host/dialers/udp_mappings.h"
#include "host/faults/fault_dialer.h"
#include "host/flow/dialer.h"
#include "host/outside/via_dialer.h"

namespace nsrun {

// How a sandbox's flows get out, for one thread: by the dialer that the target's rule names, or by the
// sandbox's, and with what goes wrong on the way.
class WorldDialer final : public Dialer {
 public:
  // `flows` owns the tasks of connections with faults; `totals` are of its loop. All outlive the dialer.
  // `usual`: makes the dialer of flows whose rule names none; empty: direct, then with `mappings`.
  WorldDialer(Executor executor, const DialerFactory& usual, Scope& flows, Counters& totals,
              UdpMappings* mappings = nullptr);
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override {
    return faults_.dial(target);
  }

 private:
  const std::unique_ptr<Dialer> usual_;
  ViaDialer via_;
  LoopbackDialer loopback_;
  FaultDialer faults_;
};

}  // namespace nsrun
