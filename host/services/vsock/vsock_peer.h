#pragma once

#include <functional>
#include <list>
#include <memory>

#include "host/forward/forwarder.h"
#include "host/services/service.h"
#include "host/services/vsock/vsock_config.h"

namespace nsrun {

// Hears of a tunnel that cannot be; the others go on.
using TunnelFailed = std::function<void(const Error&)>;

// The end of the tunnels in a virtual machine:
//
//   TCP client ─► peer-address:peer-port ─► vsock, the host's vsock-host-port
//   the host   ─► vsock, handshake-port ◄── the greeting
class VsockPeer {
 public:
  VsockPeer(Service& service, TunnelFailed failed)
      : service_(service), failed_(std::move(failed)), forwarder_(service.executor(), false) {}
  void begin(const std::vector<VsockTunnel>& tunnels);

 private:
  Result<void> open(const VsockTunnel& tunnel);
  Task<> greet_clients(EndpointListener& listener);

  Service& service_;
  const TunnelFailed failed_;
  Forwarder forwarder_;
  std::list<std::unique_ptr<EndpointListener>> greeting_;
};

}  // namespace nsrun
