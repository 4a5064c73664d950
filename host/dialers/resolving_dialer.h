#pragma once

#include "host/flow/dialer.h"

namespace nsrun {

// Resolves target.name here and races its addresses through `by_address` (address_race.h). What
// was checked is what is dialled. An address that target.permits refuses is passed over; when none is left
// the error is denied_by_policy. `target` and `by_address` outlive the call.
Task<Result<std::unique_ptr<Connection>>> dial_by_name(Executor executor, const Target& target,
                                                       Dialer& by_address);

// In front of a dialer that should see addresses only. Targets without a name pass through unchecked: whoever
// named the address judged it.
class ResolvingDialer final : public Dialer {
 public:
  ResolvingDialer(Executor executor, std::unique_ptr<Dialer> inner);
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;

 private:
  Executor executor_;
  std::unique_ptr<Dialer> inner_;
};

}  // namespace nsrun
