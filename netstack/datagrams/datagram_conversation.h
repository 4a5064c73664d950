#pragma once

#include <array>
#include <deque>
#include <memory>
#include <vector>

#include "netstack/conversation.h"
#include "netstack/poller.h"
#include "runtime/connection.h"
#include "runtime/fd.h"

namespace nsrun {

class DatagramConnection;
class DatagramRequest;
class UdpSplice;

// One UDP flow of the guest, or one echo (ping) identifier. It begins with the first datagram, which waits
// with those that follow it until the request is answered; it ends when it has been idle for
// StackOptions::udp_idle, or as the least recently used when there are too many.
//
// Datagrams that nobody reads in time are dropped (the oldest are kept): waiting ones take at most
// max_waiting bytes.
class DatagramConversation final : public Conversation {
 public:
  static constexpr std::size_t max_waiting = 256 * 1024;  // bytes

  DatagramConversation(StackCore& core, const FlowKey& key);
  ~DatagramConversation() override;
  // A conversation with the guest's first datagram, of which `sink` is asked.
  static void hold(StackCore& core, const FlowKey& key, const Packet& packet, const Offload& offload,
                   BufferPtr& buffer, const RequestSink& sink);

  void receive(const Packet& packet, const Offload& offload, BufferPtr& buffer) override;
  void turn() override;
  bool is_unfinished() const override { return !waiting_.empty(); }
  // The guest may have answered a client of a published port after the client's own flow had ended. What the
  // client sends next must reach the guest, and the answers must leave by the published port again.
  bool yields() const override { return counted_ && key.protocol == Protocol::udp; }
  void yield() override { end(FlowEnd::closed); }

  // To the guest, as coming from key.target. With segment_size the parts are several datagrams of that size
  // (the last may be shorter).
  void send(std::span<const iovec> parts, std::uint16_t segment_size = 0);
  void send_echo(MutableBytes message);
  // Tells the guest that nobody listens there (or what else `kind` says) about what it last sent.
  void send_error(const DeliveryError& undelivered);
  void send_error(IcmpError why) {
    DeliveryError undelivered;
    undelivered.why = why;
    send_error(undelivered);
  }
  void end(FlowEnd how);  // the conversation goes at the end of this batch

 private:
  friend class StackCore;
  friend class DatagramConnection;
  friend class DatagramRequest;
  friend class UdpSplice;
  void enqueue(Bytes datagram);
  std::vector<std::byte> dequeue();
  void mark_answered();

  std::deque<std::vector<std::byte>> waiting_;
  std::size_t waiting_bytes_ = 0;
  bool answered_ = false;
  bool counted_ = false;        // among StackCore::held_requests, until answered: the guest began it
  bool dont_fragment_ = false;  // the guest's last datagram had DF set
  std::array<std::byte, 8>
      last_echo_{};  // the header of the last echo request, which an error about it quotes
  DatagramRequest* request_ = nullptr;
  DatagramConnection* connection_ = nullptr;
  std::unique_ptr<UdpSplice> splice_;

  // StackCore's list, least recently used first.
  DatagramConversation* idle_before_ = nullptr;
  DatagramConversation* idle_after_ = nullptr;
  Clock::time_point last_used_{};
};

}  // namespace nsrun
