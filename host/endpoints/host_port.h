#pragma once

#include "host/endpoints/endpoint_url.h"

// Places as lennut and vtunnel take them: HOST:PORT, PORT a number or a service's name (services(5)); or an
// endpoint's URL. Errors have ExitCode::usage.

namespace nsrun {

Result<EndpointUrl> listened_endpoint(std::string_view text);  // no HOST: all addresses
Result<EndpointUrl> dialled_endpoint(std::string_view text);   // no HOST: localhost

}  // namespace nsrun
