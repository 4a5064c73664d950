#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "host/endpoints/endpoint_url.h"
#include "runtime/address.h"

// Streams of a virtual machine that end at servers of its host:
//
//   tunnel:
//     - name: api
//       handshake-port: 9090              # vsock, of the peer
//       vsock-host-port: 8989             # vsock, of the host
//       peer-address: 127.0.0.1           # where the peer takes TCP clients
//       peer-port: 3030
//       upstream-server-address: 127.0.0.1:4444   # of the host; or unix:///PATH, npipe:///PATH

namespace nsrun {

struct VsockTunnel {
  std::string name;
  std::uint32_t handshake_port = 0, host_port = 0;  // vsock(7): 32 bits
  Endpoint peer;
  EndpointUrl upstream;
};

constexpr std::size_t max_vsock_config = 1 << 20;  // bytes

// `name`: how errors call the text. They begin with "name:line:column:", say which key is wrong, and have
// ExitCode::usage. At least one tunnel, of which no two have a name or a port in common.
Result<std::vector<VsockTunnel>> parse_vsock_config(std::string_view text, const std::string& name);
Result<std::vector<VsockTunnel>> read_vsock_config(const std::string& path);

}  // namespace nsrun
