#pragma once

#include "netstack/conversation.h"
#include "netstack/tcp/lwip_tcp.h"
#include "netstack/tcp/tcp_guard.h"
#include "runtime/flow_record.h"

namespace nsrun {

class TcpConversation;

// Who carries a conversation's bytes on: a Connection for anybody (tcp_connection.h), or a splice to a kernel
// socket (tcp_splice.h).
class TcpUser : public FlowCarrier {
 public:
  virtual ~TcpUser() = default;
  // Once a batch, after anything changed. It may end the conversation.
  virtual void turn() = 0;
  // The conversation is going, with its stack or by end(); it must not be used any more.
  virtual void conversation_gone() = 0;
};

// One TCP connection of the guest, terminated in lwIP.
//
//   guest ─► device ─► lwIP ─► inbox  ─► user      the window opens as the user consumes
//   guest ◄─ device ◄─ lwIP ◄─ outbox ◄─ user      blocks are referenced, not copied, until acknowledged
//
// Payload above 2 KiB stays in the buffer that the device filled. Small segments are copied together once
// they pile up, so that a slow reader costs its window and not 64 KiB for each byte.
// Acknowledgements: none while a batch is fed; at its end one, when two segments are owed or data goes back
// anyway; else within a few milliseconds.
class TcpConversation final : public Conversation, public LwipFlow {
 public:
  TcpConversation(StackCore& core, const FlowKey& key);
  ~TcpConversation() override;

  // Feeds the held SYN (lwIP answers SYN+ACK). False: lwIP would not.
  bool accept(const Packet& syn);
  // Sends SYN to the guest, from key.target to key.source.
  bool connect();
  // Whoever uses it from now on; null: nobody, the conversation closes by itself.
  void set_user(TcpUser* user) { user_ = user; }

  // ---- guest to user
  std::size_t inbox_bytes() const { return inbox_bytes_; }
  // Up to `most` pieces of the inbox's front.
  int peek(iovec* pieces, int most) const;
  void consume(std::size_t bytes);
  bool guest_has_finished() const { return guest_finished_ && inbox_bytes_ == 0; }  // FIN, all read

  // ---- user to guest
  std::size_t room() const;  // bytes that may be sent now
  // Where to put what is to be sent, at least `at_least` bytes (at most 64 KiB - 56); empty when memory is
  // out.
  MutableBytes block(std::size_t at_least = 1);
  enum class Next {
    nothing,  // nothing is known to follow: what there is goes now
    more,     // it may wait for a full segment to form
    end,      // finish() follows at once, and goes in the same segment
  };
  // Sends the front part of a block() just got.
  void send_block(MutableBytes filled, Next next);
  void finish();  // FIN after all that was sent
  bool has_finished() const { return finished_; }

  bool is_established() const { return established_; }
  bool was_reset() const { return reset_; }  // by the guest
  void abort();                              // RST
  void close();                              // what close(2) does; the conversation ends by itself
  void end();                                // removes it at once, aborting what still lives

  void receive(const Packet& packet, const Offload& offload, BufferPtr& buffer) override;
  void turn() override;
  void acknowledge_late() override;
  bool is_unfinished() const override { return inbox_bytes_ > 0 || (alive() && !guest_finished_); }
  bool is_over() const override { return !alive(); }
  bool is_stuck_since(Clock::time_point then) const override;
  void give_up() override;

 private:
  void arrived(pbuf* bytes) override;
  void guest_finished() override { guest_finished_ = true; }
  void acknowledged(std::uint16_t bytes) override;
  void established(tcp_pcb& pcb) override;
  void gone(err_t why) override { reset_ |= why == ERR_RST; }
  void emit(const pbuf* packet) override;
  void left() override;

  std::uint32_t window() const;  // bytes: StackOptions::window
  void limit_window(tcp_pcb& pcb) const;
  MemoryUse use_of(const Packet& packet, Bytes segment) const;
  bool may_hold(std::size_t bytes, MemoryUse use) const;
  void append(pbuf* bytes);
  bool coalesce(const pbuf* bytes);
  void drop_inbox();
  void settle(LwipEntry& entry);
  void fit_segments(tcp_pcb* pcb);
  void settle_acks();
  std::size_t queue_room() const;

  TcpGuard guard_;
  TcpUser* user_ = nullptr;
  pbuf* inbox_ = nullptr;
  pbuf* inbox_last_ = nullptr;
  Buffer* coalescing_ = nullptr;  // the inbox's last piece, while small segments are copied into it
  std::size_t inbox_bytes_ = 0;
  std::uint32_t inbox_pieces_ = 0;
  std::uint32_t inbox_offset_ = 0;    // bytes consumed of the first piece
  std::uint32_t unacknowledged_ = 0;  // bytes received since we last sent anything
  Buffer* outbox_ = nullptr;
  Buffer* outbox_last_ = nullptr;
  std::size_t outbox_bytes_ = 0;
  Clock::time_point moved_{};       // when bytes last came to an empty inbox or outbox, or left one
  std::uint16_t segment_size_ = 0;  // payload bytes the guest takes in one packet
  bool guest_finished_ = false, finished_ = false, established_ = false, reset_ = false, fitted_ = false;
  bool emitted_ = false, ack_owed_ = false;
};

}  // namespace nsrun
