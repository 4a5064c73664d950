#pragma once

#include "netstack/buffers.h"
#include "netstack/packet.h"
#include "runtime/flow.h"
#include "runtime/memory_budget.h"
#include "runtime/task.h"

namespace nsrun {

class StackCore;

// One flow of the guest, as the stack's table holds it. Packets come one by one; the work they cause is done
// once, at the end of the batch.
class Conversation {
 public:
  // `cost`: bytes that it takes as long as it is, charged here; StackCore::may_begin was asked before.
  Conversation(StackCore& core, const FlowKey& flow, std::size_t cost);
  virtual ~Conversation() = default;
  Conversation(const Conversation&) = delete;

  // A packet from the guest. `buffer` holds its bytes and may be taken.
  virtual void receive(const Packet& packet, const Offload& offload, BufferPtr& buffer) = 0;
  // Once at the end of a batch in which it was touched.
  virtual void turn() = 0;
  // About every millisecond-scale tick while an ACK is owed (StackCore::owe_ack).
  virtual void acknowledge_late() {}
  // Something that the guest sent has not been passed on yet, or it may still send.
  virtual bool is_unfinished() const { return false; }
  // The guest may begin anew under this key: what is left concerns the far end only.
  virtual bool is_over() const { return false; }
  // A flow that we open to the guest may take the key: then it ends by yield().
  virtual bool yields() const { return false; }
  virtual void yield() {}
  // It holds bytes, none of which has moved since `then`; and the end of that, where memory is out.
  virtual bool is_stuck_since(Clock::time_point then) const { return (void)then, false; }
  virtual void give_up() {}

  const FlowKey key;
  const std::uint64_t number;  // in the order in which they began

 protected:
  bool removed() const { return removed_; }  // it goes at the end of this batch
  StackCore& core_;
  MemoryCharge memory_;  // for what it holds

 private:
  friend class StackCore;
  bool touched_ = false, removed_ = false, ack_owed_ = false, timed_ = false;
};

}  // namespace nsrun
