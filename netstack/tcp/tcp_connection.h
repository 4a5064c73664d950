#pragma once

#include <optional>

#include "netstack/tcp/tcp_conversation.h"
#include "runtime/connection.h"

namespace nsrun {

// A TCP conversation of the stack as a Connection: for far ends that are not kernel sockets, and the way onto
// the fast path for those that are.
class TcpConnection final : public Connection, private TcpUser {
 public:
  TcpConnection(StackCore& core, TcpConversation& conversation);
  ~TcpConnection() override;

  // Waits until the guest has answered our SYN. False: it refused, or never did.
  Task<bool> established();
  bool was_reset() const { return was_reset_; }  // by the guest

  Task<Result<Chunk>> read(MutableBytes into) override;
  Task<Result<void>> write(Bytes bytes) override;
  void finish() override;
  void reset() override;
  bool carry_on(UniqueFd& far, std::unique_ptr<FlowRecord>& record, bool far_asked) override;

 private:
  void turn() override;
  void conversation_gone() override;
  void cut() override { reset(); }
  Error broken(const char* doing) const;

  StackCore& core_;
  TcpConversation* conversation_;
  bool was_reset_ = false;
  Signal readable_, writable_;
};

}  // namespace nsrun
