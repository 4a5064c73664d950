#pragma once

#include <string_view>

#include "host/endpoints/endpoint_url.h"
#include "runtime/fd.h"
#include "runtime/task.h"

namespace nsrun {

// The peer of a virtual machine says this to whoever connects to its handshake port, reads nothing, and
// closes. By it the host knows the machine; rancher-desktop's vtunnel has it so.
constexpr std::string_view vsock_greeting = "github.com/rancher-sandbox/rancher-desktop-vtunnel";

// To a client that was just accepted.
void greet(UniqueFd client);
// Whether the greeting is what is to be heard at `where`, within `limit`.
Task<bool> hears_greeting(EndpointUrl where, Clock::duration limit);

}  // namespace nsrun
