#include "host/services/vsock/vsock_peer.h"

#include "host/services/vsock/handshake.h"

namespace nsrun {
namespace {

EndpointUrl url(const std::string& text) { return EndpointUrl::parse(text).value(); }

}  // namespace

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
  auto greeting = EndpointListener::bind(url("vsock://any:" + std::to_string(tunnel.handshake_port)));
  if (!greeting) return greeting.error();
  const auto listen = url("tcp://" + tunnel.peer.to_string());
  const auto dial = url("vsock://host:" + std::to_string(tunnel.host_port));
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
