#pragma once

#include <memory>

#include "netstack/poller.h"
#include "netstack/tcp/tcp_conversation.h"
#include "runtime/fd.h"

namespace nsrun {

// The fast path: a TCP conversation facing a kernel stream socket. Bytes go straight from the buffers that
// the device filled into the socket, and from the socket into the blocks that lwIP sends; nothing is copied
// here, no task runs, and each direction costs about one system call for each 64 KiB.
//
// Edge-triggered: `readable_` and `writable_` remember the last edge until a call says EAGAIN. After
// EPOLLRDHUP a short read does not clear `readable_`, or the end would be missed.
class TcpSplice final : public TcpUser, private Pollable {
 public:
  // `far_asked`: the flow began at the socket's end (a published port), so up is away from there.
  static void start(StackCore& core, TcpConversation& conversation, UniqueFd socket,
                    std::unique_ptr<FlowRecord> record, bool far_asked);

  void turn() override;
  void conversation_gone() override;
  void cut() override;

 private:
  TcpSplice(StackCore& core, TcpConversation& conversation, UniqueFd socket,
            std::unique_ptr<FlowRecord> record, bool far_asked);
  void ready(std::uint32_t events) override;
  bool to_socket();  // false: the socket broke
  bool to_guest();   // likewise
  void look_ahead();
  void moved_to_socket(std::size_t bytes);
  void moved_to_guest(std::size_t bytes);
  void end(FlowEnd how);
  void reset_socket();
  void leave();

  StackCore& core_;
  TcpConversation& conversation_;
  UniqueFd socket_;
  std::unique_ptr<FlowRecord> record_;
  const bool far_asked_;
  bool readable_ = true, writable_ = true, hung_up_ = false;
  bool shut_ = false;          // our FIN went to the socket
  bool socket_ended_;          // its FIN came, perhaps to whoever carried the flow before us
  bool socket_broke_ = false;  // it told its error
};

}  // namespace nsrun
