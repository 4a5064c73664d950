#pragma once

#include "host/faults/fault_way.h"
#include "host/flow/dialer.h"

namespace nsrun {

// Dials through another dialer, and lets the target's faults happen (Target::faults) to the dial and to the
// connection that comes of it. Targets without faults get that dialer's connections as they are.
class FaultDialer final : public Dialer {
 public:
  // A dial that goes into a black hole is given up after so long, or goes on when the faults say so.
  static constexpr auto max_silence = 130s;  // a little more than Linux's last SYN (tcp(7), tcp_syn_retries)

  // `flows` owns the tasks of connections with faults; `totals` are of its loop. All outlive the dialer.
  FaultDialer(Scope& flows, Dialer& inner, Counters& totals)
      : flows_(flows), inner_(inner), totals_(totals) {}

  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override {
    return target.faults ? dial_with_faults(target) : inner_.dial(target);
  }

 private:
  Task<Result<std::unique_ptr<Connection>>> dial_with_faults(const Target& target);
  Task<bool> emerge(Faults& faults);  // from a black hole; false: never

  Scope& flows_;
  Dialer& inner_;
  Counters& totals_;
  TransitBudget under_way_;
};

}  // namespace nsrun
