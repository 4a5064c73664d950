#pragma once

#include <memory>

#include "host/dialers/timed_dialer.h"
#include "host/endpoints/endpoint_listener.h"
#include "host/listen/client_quota.h"
#include "host/names/synthetic_names.h"
#include "host/services/proxy/proxied_request.h"
#include "host/services/proxy/proxy_client.h"
#include "host/services/proxy/proxy_policy.h"
#include "host/services/service.h"

namespace nsrun {

// An HTTP/1.x proxy, CONNECT and plain requests: a source of requests, each of which goes where the map says,
// or else as a policy says. Several plain requests of one client may be for different hosts.
class HttpProxy {
 public:
  struct Limits {
    std::size_t clients = 1024;     // at once; then those without a request give way (ClientQuota)
    Clock::duration head = 30s;     // for a request's head, once it has begun; then 408
    Clock::duration between = 60s;  // from one request to the next; then the client is closed
    Clock::duration dial = 10s;     // then 502
  };
  // Listens from now on. All outlive the proxy: `names` are those by which `others` knows names, and `others`
  // judges what is not in the map.
  static Result<std::unique_ptr<HttpProxy>> bind(Service& service, const EndpointUrl& where,
                                                 const DomainMap& map, SyntheticNames& names, Policy& others,
                                                 Limits limits);

  // From here on clients are taken, in the service's sources.
  void begin();
  const EndpointUrl& where() const { return listener_->where(); }  // with the port that was found

 private:
  HttpProxy(Service& service, std::unique_ptr<EndpointListener> listener, const DomainMap& map,
            SyntheticNames& names, Policy& others, Limits limits);
  // Who asks, for the key and the record of each of his requests.
  struct Who {
    Endpoint source;
    SharedText name;
  };
  Task<> serve(ProxyClient client, Who who, asio::cancellation_signal& cancel);
  Task<std::optional<ProxiedRequest>> next_request(ProxyClient& client);
  Task<bool> carry(ProxyClient& client, const Who& who, ProxiedRequest request);
  Task<Result<ProxiedRequest>> read_request(ProxyClient& client);
  Task<bool> begun(ProxyClient& client);
  FlowKey key_for(const Who& who, const Authority& where);

  Service& service_;
  std::unique_ptr<EndpointListener> listener_;
  SyntheticNames& names_;
  const Limits limits_;
  const ProxiedRequests requests_;
  ProxyPolicy policy_;
  TimedDialer dialer_;
  Carrier carrier_;
  ClientQuota places_;
};

}  // namespace nsrun
