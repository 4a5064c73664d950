#include "host/forward/forwarder.h"

#include "host/endpoints/endpoint_dialer.h"

namespace nsrun {

Result<void> Forwarder::add(const Forward& forward) {
  // Said before anybody asks.
  if (auto dialled = endpoint_dialer(forward.dial, service_.executor()); !dialled) return dialled.error();
  auto listener = EndpointListener::bind(forward.listen);
  if (!listener) return listener.error();
  forwards_.emplace_back(service_, std::move(*listener), forward);
  return {};
}

void Forwarder::begin() {
  for (auto& one : forwards_) {
    auto sink = service_.sink_to(one.carrier);
    sink.key = [protocol = one.listener->where().protocol(),
                here = one.listener->where().target().endpoint](const Client& client) {
      return FlowKey{protocol, client.address, here};
    };
    service_.sources().spawn(one.listener->run(service_.sources(), std::move(sink)));
  }
}

std::vector<EndpointUrl> Forwarder::listening() const {
  std::vector<EndpointUrl> all;
  for (const auto& one : forwards_) all.push_back(one.listener->where());
  return all;
}

}  // namespace nsrun
