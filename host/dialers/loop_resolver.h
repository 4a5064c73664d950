#pragma once

#include "runtime/task.h"

namespace nsrun {

class HostResolver;  // host/names

// The one resolver of a loop: all its dialers share what is known of the name servers, and the bound on
// queries. It lives as long as the io_context.
HostResolver& loop_resolver(Executor executor);

}  // namespace nsrun
