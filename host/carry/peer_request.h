#pragma once

#include <vector>

#include "host/dialers/udp_mappings.h"
#include "netstack/stack.h"
#include "runtime/connection.h"

namespace nsrun {

// A datagram from a port to which the guest has not sent, at an address to which it has (UdpMappings). It is
// carried as the flow that the guest would have begun: judged, recorded and dialled as that.
class PeerRequest final : public Request {
 public:
  // `stack` outlives it.
  PeerRequest(Stack& stack, const UdpMappings::Unasked& unasked)
      : stack_(stack),
        key_(unasked.key),
        from_(unasked.from),
        datagram_(unasked.datagram.begin(), unasked.datagram.end()) {}

  const FlowKey& key() const override { return key_; }
  std::optional<Task<>> prepare(const Connection& far, bool inspected) override;
  std::unique_ptr<Connection> accept() override;
  // The sender is not told: what refuses it is about the guest.
  void refuse(Refusal) override {}

 private:
  Stack& stack_;
  const FlowKey key_;
  const Endpoint from_;
  const std::vector<std::byte> datagram_;
  bool is_its_flow_ = false;  // what was dialled leads to the sender, not elsewhere
};

}  // namespace nsrun
