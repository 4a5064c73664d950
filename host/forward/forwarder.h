#pragma once

#include <list>
#include <memory>
#include <vector>

#include "host/endpoints/endpoint_listener.h"
#include "host/forward/forward.h"
#include "host/service/service.h"

namespace nsrun {

// The forwards of a service.
class Forwarder {
 public:
  explicit Forwarder(Service& service) : service_(service) {}

  // Clients wait from now on. An error: it cannot be listened there, or never be dialled.
  Result<void> add(const Forward& forward);
  // From here on they are taken.
  void begin();
  // As they are listened at, with the ports that were found.
  std::vector<EndpointUrl> listening() const;

 private:
  struct One {
    One(Service& service, std::unique_ptr<EndpointListener> opened, const Forward& forward)
        : listener(std::move(opened)),
          policy(forward.dial, listener->where().to_string() + "=" + forward.dial.to_string()),
          carrier(service.carrier(policy)) {}
    std::unique_ptr<EndpointListener> listener;
    AllowTo policy;
    Carrier carrier;
  };

  Service& service_;
  std::list<One> forwards_;
};

}  // namespace nsrun
