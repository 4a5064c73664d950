#pragma once

#include <vector>

#include "netstack/conversation.h"
#include "runtime/connection.h"

namespace nsrun {

class TcpRequest;

// A SYN waits here until policy and dialer agree; lwIP never sees it before that. So the guest's connect()
// ends as the world's does: accepted (the SYN goes on to lwIP), RST, ICMP unreachable, or silence.
//
// The held SYN stands in the flow table under its key and swallows retransmissions. When the guest gives up,
// it stays there until the request is over: a guest cannot start more dials than are held. The Request is the
// other half, in the hands of whoever decides; either may go first. What waits is bounded by
// StackOptions::max_pending_syns.
class PendingSyn final : public Conversation {
 public:
  // Holds `syn` and asks `sink`.
  static void hold(StackCore& core, const FlowKey& key, const Packet& syn, const RequestSink& sink);
  PendingSyn(StackCore& core, const FlowKey& key, const Packet& syn);
  ~PendingSyn() override;

  void receive(const Packet& packet, const Offload& offload, BufferPtr& buffer) override;
  void turn() override {}

 private:
  friend class TcpRequest;
  std::vector<std::byte> syn_;  // the IP packet without data, which comes again after the handshake
  bool left_ = false;           // the guest has reset it
  TcpRequest* request_ = nullptr;
};

}  // namespace nsrun
