#pragma once

#include "runtime/fd.h"
#include "runtime/result.h"

namespace nsrun {

// From here on every connect(2) of this process, of what it executes and of all it starts waits for whoever
// holds the listener, which is the result. For closed sandboxes whose connects are not accelerated:
// trap_connects (connect_trap.h) does this and more. It needs what that needs, and takes no Landlock.
Result<UniqueFd> trap_doors();

}  // namespace nsrun
