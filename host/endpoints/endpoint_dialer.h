#pragma once

#include <optional>

#include "host/endpoints/endpoint_url.h"
#include "host/flow/dialer.h"

namespace nsrun {

// Why an endpoint with a host cannot be dialled, or nothing: it has no host or no port, or its address is
// unspecified (0.0.0.0, ::), which connect(2) takes for this machine's loopback.
std::optional<Error> flaw_of_target(const EndpointUrl& endpoint);

// Dials one endpoint, whatever the target but for its transport: EPROTONOSUPPORT for a target of the other
// kind. An error here: it is no endpoint that can be dialled (no port, any CID, in a sandbox), or its files
// cannot be read.
Result<std::unique_ptr<Dialer>> endpoint_dialer(const EndpointUrl& endpoint, Executor executor);

}  // namespace nsrun
