#pragma once

#include <memory>
#include <string>

#include "runtime/connection.h"

namespace nsrun {

// `near`, from which plain HTTP/1.x requests are read as if they had been written for `host` ("example.org",
// "example.org:8443"): the Host of each of the connection's requests is that. What is not HTTP, or ceases to
// be, is read as it came.
std::unique_ptr<Connection> rewrite_host(std::unique_ptr<Connection> near, std::string host);

}  // namespace nsrun
