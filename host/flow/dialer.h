#pragma once

#include <functional>
#include <memory>

#include "runtime/connection.h"

namespace nsrun {

// Connects to a target, somehow: directly, through a proxy, to a function in the same process. Dialers wrap
// dialers; what a flow may reach was decided before (host/policy/), where it goes is decided by which dialer.
class Dialer {
 public:
  virtual ~Dialer() = default;

  // A connection whose transport fits target.protocol, once the far side has answered. The error's code tells
  // the asker's fate (refusal_for): ECONNREFUSED, ENETUNREACH, EHOSTUNREACH, ETIMEDOUT, EACCES …;
  // EPROTONOSUPPORT for a protocol the dialer cannot carry. `target` outlives the call.
  virtual Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) = 0;
};

// Makes the dialer that every allowed flow goes through. Called once for each queue of the network's device,
// and once more to answer the command's connects: a dialer serves one thread. One that resolves names dials
// no address that the target does not permit (Target::permits).
using DialerFactory = std::function<std::unique_ptr<Dialer>(Executor executor)>;

// Of an Error: no system call's, but the policy's, which permits none of the addresses that the target has.
inline const auto denied_by_policy = make_error_code(boost::system::errc::permission_denied);

// What the asker is told when a dial failed: as close as can be to what a direct connect would have shown.
Refusal refusal_for(const Error& error);

}  // namespace nsrun
