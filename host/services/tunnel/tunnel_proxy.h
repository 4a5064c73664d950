#pragma once

#include <memory>
#include <string>

#include "host/services/proxy/domain_map.h"
#include "host/services/proxy/http_proxy.h"
#include "host/services/tunnel/outward_policy.h"
#include "host/services/tunnel/tunnel_server.h"

namespace nsrun {

// The HTTP proxy of a tunnel's server: what clients of the tunnel offer by a name that is not this machine's
// own leads to their ports, everything else to where the rules let it.
class TunnelProxy {
 public:
  // `rules` null: all but protected addresses (host/policy/reachability.h) and this machine's own. Listens
  // from now on.
  static Result<std::unique_ptr<TunnelProxy>> bind(Service& service, const EndpointUrl& where,
                                                   std::shared_ptr<const RuleSet> rules);
  void begin() { proxy_->begin(); }
  const EndpointUrl& where() const { return proxy_->where(); }

  // `host_port`, or the same behind a scheme, is reached at this port of 127.0.0.1 from now on.
  void offer(const void* owner, const std::string& host_port, std::uint16_t port);
  void withdraw(const void* owner) { map_.remove(owner); }
  void withdraw(const void* owner, std::uint16_t port) { map_.remove(owner, port); }
  // What a server's clients listen for is offered, and withdrawn when it has gone. We outlive the server.
  void follow(TunnelServer::Options& server);

 private:
  TunnelProxy(std::shared_ptr<const RuleSet> rules, bool protects_own)
      : others_(std::move(rules), protects_own) {}

  DomainMap map_;
  OutwardPolicy others_;
  std::unique_ptr<HttpProxy> proxy_;
};

}  // namespace nsrun
