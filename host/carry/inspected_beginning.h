#pragma once

#include "host/carry/tls_opening.h"
#include "runtime/connection.h"

namespace nsrun {

// Carries a stream both ways until its beginning agrees; from then on a relay may go on with both ends, which
// have passed on all that they gave. False: it did not agree, or an end broke; both are reset then, and the
// record says why. The arguments outlive the task.
Task<bool> inspect_beginning(Connection& near, Connection& far, TlsOpening& opening, FlowRecord& record);

}  // namespace nsrun
