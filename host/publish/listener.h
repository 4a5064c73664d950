#pragma once

#include <functional>

#include "host/publish/published_port.h"
#include "runtime/connection.h"
#include "runtime/task.h"

namespace nsrun {

// A host socket bound to the published port: TCP is listening, UDP bound; :: takes IPv4 as well. The error of
// a port in use has ExitCode::port_in_use.
Result<UniqueFd> bind_published(const PublishedPort& port);

// Sources of requests: for each client of the port one, with the client as its source and `guest_port` at
// `guest` (an address of the client's family is chosen) as its target. They end when cancelled.
struct GuestAddresses {
  IpAddress v4, v6;
  Endpoint at(const IpAddress& client, std::uint16_t port) const { return {client.is_v4() ? v4 : v6, port}; }
};
struct ClientSink {
  RequestSink request;
  std::function<void(const Error&)> trouble;  // no client gets in, and what to do about it; again each time
};
Task<> accept_published(Executor executor, int socket, PublishedPort port, GuestAddresses guest,
                        ClientSink sink);
Task<> receive_published(Executor executor, int socket, PublishedPort port, GuestAddresses guest,
                         ClientSink sink);

}  // namespace nsrun
