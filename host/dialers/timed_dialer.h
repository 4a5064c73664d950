#pragma once

#include "host/flow/dialer.h"

namespace nsrun {

// Another dialer's dials, each of which may take so long: then ETIMEDOUT.
class TimedDialer final : public Dialer {
 public:
  // `inner` outlives it.
  TimedDialer(Dialer& inner, Clock::duration limit) : inner_(inner), limit_(limit) {}
  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override {
    auto dialled = co_await within(limit_, inner_.dial(target));
    if (!dialled) co_return Error{"cannot connect to " + target.to_string(), errno_code(ETIMEDOUT)};
    co_return std::move(*dialled);
  }

 private:
  Dialer& inner_;
  const Clock::duration limit_;
};

}  // namespace nsrun
