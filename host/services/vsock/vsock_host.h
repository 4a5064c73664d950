#pragma once

#include <list>
#include <optional>

#include "host/forward/forwarder.h"
#include "host/services/service.h"
#include "host/services/vsock/vsock_peer.h"

namespace nsrun {

// The end of the tunnels at the virtual machine's host:
//
//   the machine's client ─► vsock, vsock-host-port ─► upstream-server-address
//   the machine's peer   ◄─ vsock, handshake-port: is it that one?
class VsockHost {
 public:
  static constexpr auto search_limit = 10s;    // for a tunnel's machine to answer; then the tunnel has failed
  static constexpr auto search_interval = 1s;  // every machine that may be it is asked once in this time
  static constexpr auto answer_limit = 3s;     // for one of them to greet
  static constexpr auto look_interval = 5s;    // whether the machine that was found is still there

  // Where the machine is looked for: under these CIDs; or, in its monitor's hybrid form, at this unix socket.
  struct Places {
    std::vector<std::uint32_t> cids = {};  // empty: 1 (this machine's own loopback), and 3 to 127
    std::string hybrid = {};
  };

  VsockHost(Service& service, Places places, TunnelFailed failed);
  // Done when each tunnel's machine was found, or has failed.
  Task<> begin(const std::vector<VsockTunnel>& tunnels);

 private:
  struct One {
    One(VsockTunnel of, Executor executor) : tunnel(std::move(of)), settled(executor) {}
    VsockTunnel tunnel;
    std::optional<EndpointUrl> machine;  // where it answered last
    Signal settled;
  };
  struct Search;
  Result<void> open(One& one);
  Task<> look_after(One& one);
  Task<> search(One& one, Clock::time_point until);
  std::vector<EndpointUrl> places_of(const VsockTunnel& tunnel) const;
  bool is_of(const One& one, const Client& client) const;
  void fail(const One& one, Error error);

  Service& service_;
  const Places places_;
  const TunnelFailed failed_;
  Forwarder forwarder_;
  std::list<One> tunnels_;
};

}  // namespace nsrun
