#include "host/services/vsock/vsock_peer.h"

#include "host/services/vsock/handshake.h"

namespace nsrun {
void VsockPeer::begin(const std::vector<VsockTunnel>& tunnels) {
  for (const auto& tunnel : tunnels) {
    const auto opened = open(tunnel);
    if (opened) continue;
    Error error = opened.error();
    error.doing = "tunnel '" + tunnel.name + "': " + error.doing;
    failed_(error);
  }
  forwarder_.begin(service_.forward_parts());
  for (auto& listener : greeting_) service_.sources().spawn(greet_clients(*listener));
}

Result<void> VsockPeer::open(const VsockTunnel& tunnel) {
  auto greeting = EndpointListener::bind(
      EndpointUrl::parse("vsock://any:" + std::to_string(tunnel.handshake_port)).value());
  if (!greeting) return greeting.error();
  const auto listen = EndpointUrl::parse("tcp://" + tunnel.peer.to_string()).value();
  const auto dial = EndpointUrl::parse("vsock://host:" + std::to_string(tunnel.host_port)).value();
  if (auto added = forwarder_.add({listen, dial}); !added) return added.error();
  greeting_.push_back(std::move(*greeting));
  return {};
}

Task<> VsockPeer::greet_clients(EndpointListener& listener) {
  ClientSink sink;
  sink.trouble = [this](const Error& error) { service_.ledger().dial_failed(error); };
  co_await listener.accept([](Client, UniqueFd client) { greet(std::move(client)); }, std::move(sink));
}

}  // namespace nsrun
