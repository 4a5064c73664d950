#pragma once

#include <optional>

#include "runtime/fd.h"
#include "runtime/flow.h"
#include "runtime/result.h"

namespace nsrun {

// A non-blocking socket of ours at an address and port: tcp is listening, udp bound. No address: all of this
// machine's, of both families. :: is all IPv6 addresses, and leaves 0.0.0.0 to another socket.
// `doing` opens the error's line; that of an endpoint in use has ExitCode::port_in_use and this advice.
Result<UniqueFd> bind_ip(Protocol protocol, const std::optional<IpAddress>& address, std::uint16_t port,
                         const std::string& doing, const std::string& if_in_use);
// The same with a socket that was made elsewhere, of the address's family and the protocol's type: it binds
// in the network namespace that it is of. `both_families`: :: takes IPv4 as well.
Result<UniqueFd> bind_made(UniqueFd socket, Protocol protocol, const Endpoint& where,
                           const std::string& doing, const std::string& if_in_use,
                           bool both_families = false);
constexpr int listen_backlog = 1024;  // connections the kernel holds before we accept them

}  // namespace nsrun
