// A vsock configuration is whatever somebody wrote: it is understood or refused with its place, and what is
// understood can be listened at and dialled.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "host/services/vsock/vsock_config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nsrun;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto tunnels = parse_vsock_config(text, "config.yaml");
  if (!tunnels) {
    if (tunnels.error().exit != ExitCode::usage || !tunnels.error().doing.starts_with("config.yaml:"))
      std::abort();
    return 0;
  }
  if (tunnels->empty()) std::abort();
  for (const auto& tunnel : *tunnels) {
    const auto& upstream = tunnel.upstream;
    if (tunnel.name.empty() || tunnel.handshake_port == 0 || tunnel.host_port == 0 || tunnel.peer.port == 0)
      std::abort();
    if (!EndpointUrl::parse(upstream.text) || upstream.transport() != Transport::stream) std::abort();
  }
  return 0;
}
