#pragma once

#include <memory>
#include <vector>

#include "netstack/datagram_conversation.h"

namespace nsrun {

// The fast path of UDP: a conversation facing a connected kernel UDP socket. Datagrams of one batch go out
// together, those of one size as one packet that the kernel cuts (UDP_SEGMENT; udp(7)), and come in the same
// way (UDP_GRO, recvmmsg). Order within the flow is kept.
//
// Budget: one sendmmsg for each batch and flow; one recvmmsg and one device write for up to 64 KiB.
class UdpSplice final : private Pollable {
 public:
  UdpSplice(StackCore& core, DatagramConversation& conversation, UniqueFd socket,
            std::unique_ptr<FlowRecord> record, bool far_asked);
  ~UdpSplice();

  // A datagram of the guest, or several of `segment` bytes each. Takes the buffer where that saves a copy.
  // False: not taken.
  bool push(MutableBytes payload, std::uint16_t segment, BufferPtr& buffer);
  void turn();
  void ended(FlowEnd how) { record_->ended(how); }

 private:
  struct Pending {
    BufferPtr buffer;               // holds the bytes, unless …
    std::vector<std::byte> copied;  // … they were few
    Bytes bytes;
    std::uint16_t segment;  // 0: one datagram
  };

  void ready(std::uint32_t events) override;
  void drain_waiting();
  void to_socket();
  std::size_t gather(std::size_t first, struct Outgoing& out);
  void to_guest();
  void send_failed(int number);

  StackCore& core_;
  DatagramConversation& conversation_;
  UniqueFd socket_;
  std::unique_ptr<FlowRecord> record_;
  const bool far_asked_;
  bool readable_ = true;
  std::vector<Pending> pending_;
};

}  // namespace nsrun
