#pragma once

#include "netstack/datagrams/datagram_conversation.h"
#include "runtime/connection.h"
#include "runtime/datagram_source.h"

namespace nsrun {

// A datagram conversation of the stack as a Connection. Its end is the conversation's: idleness.
class DatagramConnection final : public Connection, public DatagramEnd, public DatagramSource {
 public:
  DatagramConnection(StackCore& core, DatagramConversation& conversation);
  ~DatagramConnection() override;

  Transport transport() const override { return Transport::datagram; }
  Task<> datagram_ready() override;
  Task<Result<Chunk>> read(MutableBytes into) override;
  Task<Result<void>> write(Bytes datagram) override;
  void finish() override {}
  // Tells the guest that nobody listens there; the conversation goes on with whatever else it sends.
  void reset() override;
  void report(const DeliveryError& undelivered) override {
    if (conversation_) conversation_->send_error(undelivered);
  }
  bool carry_on(UniqueFd& far, std::unique_ptr<FlowRecord>& record, bool far_asked) override;

 private:
  friend class DatagramConversation;
  void turn();
  void conversation_gone();

  StackCore& core_;
  DatagramConversation* conversation_;
  Signal readable_;
};

}  // namespace nsrun
