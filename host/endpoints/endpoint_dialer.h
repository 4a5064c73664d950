#pragma once

#include "host/dialer.h"
#include "host/endpoints/endpoint_url.h"

namespace nsrun {

// Dials one endpoint, whatever the target but for its transport: EPROTONOSUPPORT for a target of the other
// kind. An error here: it is no endpoint that can be dialled (no port, any CID, in a sandbox), or its files
// cannot be read.
Result<std::unique_ptr<Dialer>> endpoint_dialer(const EndpointUrl& endpoint, Executor executor);

}  // namespace nsrun
