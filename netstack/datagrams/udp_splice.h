#pragma once

#include <sys/socket.h>

#include <memory>
#include <vector>

#include "netstack/datagrams/datagram_conversation.h"
#include "runtime/datagram_route.h"
#include "runtime/flow_record.h"

namespace nsrun {

// The fast path of UDP: a conversation facing a connected kernel UDP socket. Datagrams of one batch go out
// together, those of one size as one packet that the kernel cuts (UDP_SEGMENT; udp(7)), and come in the same
// way (UDP_GRO, recvmmsg). Order within the flow is kept.
//
// Budget: one sendmmsg for each batch and flow; one recvmmsg and one device write for up to 64 KiB.
class UdpSplice final : public FlowCarrier, private Pollable {
 public:
  UdpSplice(StackCore& core, DatagramConversation& conversation, UniqueFd socket,
            std::unique_ptr<FlowRecord> record, bool far_asked);
  ~UdpSplice();
  // Other datagram sockets (unix, ping) have neither segmentation nor its control messages.
  static bool fits(int socket);

  // False: the socket cannot be watched (there is no memory, or fs.epoll.max_user_watches is reached).
  bool begin();
  // A datagram of the guest, or several of `segment` bytes each. Takes the buffer where that saves a copy.
  void push(MutableBytes payload, std::uint16_t segment, BufferPtr& buffer, bool dont_fragment);
  // Fair to its neighbours without counting: a turn moves at most 64 messages, and no more than the socket's
  // receive buffer holds.
  void turn();
  void ended(FlowEnd how) { record_->ended(how); }
  void cut() override { conversation_.end(FlowEnd::policy); }

 private:
  // A datagram, or several of `segment` bytes each (0: one), on its way to the socket: in the buffer that the
  // device filled, or copied behind its forerunners in StackCore::small_datagrams, where one piece may then
  // hold many.
  struct Pending {
    BufferPtr buffer;
    std::size_t offset;  // in small_datagrams, when there is no buffer
    Bytes in_buffer;
    std::size_t size;
    std::uint16_t segment;
  };

  void ready(std::uint32_t events) override;
  void drain_waiting();
  void to_socket();
  std::size_t gather(std::size_t first, struct Outgoing& out);
  // What went out: datagrams and their bytes.
  struct Moved {
    std::uint64_t bytes = 0, datagrams = 0;
  };
  void send(struct Outgoing& out, Moved& moved);
  void to_guest();
  void send_singly(const msghdr& message, Moved& moved);
  void send_failed(int number);
  // What is known of datagrams that were lost, to the guest.
  struct Told {
    bool any = false, from_path = false;  // about earlier datagrams
  };
  Told tell_errors();
  void keep_whole(bool dont_fragment);

  StackCore& core_;
  DatagramConversation& conversation_;
  UniqueFd socket_;
  std::unique_ptr<FlowRecord> record_;
  const bool far_asked_;
  DatagramRoute route_;
  bool readable_ = true;
  bool dont_fragment_ = false;  // the socket sets DF, and fragments nothing (IP_PMTUDISC_DO; ip(7))
  Bytes bytes_of(const Pending& pending) const;

  std::vector<Pending> pending_;
};

}  // namespace nsrun
