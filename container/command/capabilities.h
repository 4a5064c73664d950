#pragma once

#include "runtime/result.h"

namespace nsrun {

// Gives up every capability in every set, and the means to regain one through exec (no_new_privs). For the
// command; there is no way back.
Result<void> give_up_privileges();

// Makes this process's memory and descriptors unreachable to others, the guest's root included.
void protect_from_ptrace();

}  // namespace nsrun
