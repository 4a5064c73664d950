#pragma once

#include <optional>

#include "host/flow/dialer.h"
#include "host/sandbox/sandbox_sockets.h"
#include "netstack/stack.h"
#include "runtime/network.h"

namespace nsrun {

// Dials into the sandbox, for published ports and forwards. A TCP client on the host's loopback, or without
// an address, has none worth keeping: it is connected by a socket made inside the namespace, where an agent
// makes them, and the kernel moves the bytes; the guest sees its own address. So is whoever wants the guest's
// own loopback, which has no other way in. Any other client, TCP or UDP, is connected through the stack, and
// the guest sees the client's own address, port included, where it is of the family the guest's server
// speaks; else the gateway's.
class GuestDialer final : public Dialer {
 public:
  GuestDialer(Executor executor, Stack& stack, SandboxSockets& sockets, const NetworkOptions& network)
      : executor_(executor), stack_(stack), sockets_(sockets), network_(network) {}

  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override;

 private:
  bool belongs_inside(const Target& target) const;
  Task<Result<std::unique_ptr<Connection>>> dial_inside(Protocol protocol, Endpoint guest);
  Task<Result<std::unique_ptr<Connection>>> dial_through_stack(Protocol protocol, Endpoint source,
                                                               Endpoint guest);
  std::optional<Endpoint> other_family(const Target& target) const;
  Endpoint presentable(Protocol protocol, const Endpoint& client, const Endpoint& guest);

  Executor executor_;
  Stack& stack_;
  SandboxSockets& sockets_;
  const NetworkOptions network_;
  // Of the gateway, for clients whose own address will not do.
  static constexpr std::uint16_t first_port = 32'768;
  std::uint16_t next_port_ = first_port;
};

}  // namespace nsrun
