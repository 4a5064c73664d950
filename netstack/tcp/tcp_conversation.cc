#include "netstack/tcp/tcp_conversation.h"

#include <algorithm>
#include <cstring>

#include "lwip/priv/tcp_priv.h"
#include "netstack/stack_core.h"

namespace nsrun {
namespace {

constexpr std::size_t max_copied_segment = 2048;   // bytes: a smaller packet is copied, not to pin 64 KiB
constexpr std::size_t coalesce_limit = 16'384;     // bytes: smaller segments are put together …
constexpr std::uint32_t ample_pieces = 16;         // … once this many wait,
constexpr std::size_t ample_inbox = 256 * 1024;    // or this many bytes
constexpr std::size_t block_size = max_segment;    // bytes of a block to the guest: one full segment
constexpr std::size_t worth_filling = 2048;        // bytes left in a block
constexpr std::uint32_t ack_at_once = 128 * 1024;  // bytes received: acknowledge at the end of the batch
constexpr std::int16_t first_timeout =
    4;  // slow ticks, before a round trip was measured; lwIP would take 3 s

// Bytes that a connection costs without what it holds: itself, lwIP's part, its carrier to a socket and its
// record.
constexpr std::size_t tcp_cost = 2048;

}  // namespace

TcpConversation::TcpConversation(StackCore& core, const FlowKey& key_)
    : Conversation(core, key_, tcp_cost), LwipFlow(core.clock()) {}

TcpConversation::~TcpConversation() {
  if (alive()) LwipEntry(*this).abort();
  if (user_) std::exchange(user_, nullptr)->conversation_gone();
  drop_inbox();
  acknowledged(0);
}

std::uint32_t TcpConversation::window() const { return static_cast<std::uint32_t>(core_.options().window); }

bool TcpConversation::accept(const Packet& syn) {
  pbuf* p = core_.buffers().copy(syn.payload(), MemoryUse::progress);
  if (!p) return false;
  TcpGuard::admit_first_syn({static_cast<std::byte*>(p->payload), p->len});
  LwipEntry entry(*this);
  tcp_pcb* const taken = entry.input_syn(syn, p);
  if (!taken) return false;
  limit_window(*taken);
  // A SYN's answer announces at most 64 KiB (RFC 7323 2.2), whatever lwIP thinks that it has announced.
  taken->rcv_ann_right_edge = taken->rcv_nxt + taken->rcv_wnd;
  core_.watch_timers(*this);
  return true;
}

bool TcpConversation::connect() {
  LwipEntry entry(*this);
  const bool begun = entry.connect(key.target, key.source) != nullptr;
  if (begun) core_.watch_timers(*this);
  return begun;
}

// lwIP offers TCP_WND as soon as the guest has agreed to scale windows.
void TcpConversation::limit_window(tcp_pcb& pcb) const {
  pcb.rcv_wnd = pcb.rcv_ann_wnd = std::min(pcb.rcv_wnd, window());
}

// Called before lwIP answers, so that the answer to a SYN+ACK announces no more than the limit.
void TcpConversation::established(tcp_pcb& pcb) {
  established_ = true;
  limit_window(pcb);
  settle_largest_segment(pcb);
}

// ---- guest to user

void TcpConversation::receive(const Packet& packet, const Offload&, BufferPtr& buffer) {
  if (!alive()) {
    write_tcp_reset(core_.device(), packet);
    return;
  }
  auto segment = packet.payload();
  if (!guard_.admit(*pcb(), segment)) return;
  const auto use = use_of(packet, segment);
  if (use != MemoryUse::relief && !may_hold(segment.size(), use))
    return use == MemoryUse::progress ? core_.lacks_memory() : void();
  pbuf* p = segment.size() <= max_copied_segment || !buffer ? core_.buffers().copy(segment, use)
                                                            : BufferPool::as_pbuf(std::move(buffer), segment);
  if (!p) return;

  LwipEntry entry(*this);
  const bool owed = ack_owed_;
  emitted_ = false;
  // Without this, lwIP acknowledges every second segment by itself, in mid-batch.
  tcp_clear_flags(entry.pcb(), TF_ACK_DELAY);
  entry.input(packet, p);
  settle(entry);
  if (tcp_pcb* pcb = entry.pcb()) {
    const bool owes = pcb->flags & TF_ACK_DELAY;
    if (emitted_ && !owes) unacknowledged_ = 0;
    ack_owed_ = owes || (owed && !emitted_);
    if (ack_owed_) tcp_set_flags(pcb, TF_ACK_DELAY);
  } else {
    ack_owed_ = false;
  }
  core_.touch(*this);
}

// What comes behind a gap waits, and so does what comes to bytes that wait. `segment`: what of it is taken.
MemoryUse TcpConversation::use_of(const Packet& packet, Bytes segment) const {
  if (segment.size() <= tcp_header_size(packet)) return MemoryUse::relief;
  const std::uint32_t sequence = std::uint32_t{packet.word(4)} << 16 | packet.word(6);
  return inbox_bytes_ > 0 || sequence != pcb()->rcv_nxt ? MemoryUse::ahead : MemoryUse::progress;
}

// False: the sandbox holds enough already. The segment is lost, and comes again when there is room.
bool TcpConversation::may_hold(std::size_t bytes, MemoryUse use) const {
  if (core_.to_world_bytes > core_.options().ample_bytes && inbox_bytes_ > StackCore::share) return false;
  return core_.memory().has_room(bytes, use);
}

// lwIP has taken a step: the first after the handshake fits segments to the guest.
void TcpConversation::settle(LwipEntry& entry) {
  if (entry.pcb()) settle_persist_timer(*entry.pcb());
  if (established_ && !fitted_ && entry.pcb()) fit_segments(entry.pcb());
}

// The device cuts large segments to the guest's MSS, so that small MTUs cost little. And there is nothing
// between us and the guest that could be congested.
void TcpConversation::fit_segments(tcp_pcb* pcb) {
  fitted_ = true;
  pcb->cwnd = TCP_SND_BUF;
  pcb->rto = pcb->sv = first_timeout;
  const std::uint16_t mss = pcb->mss;
  segment_size_ = mss;
  constexpr std::uint16_t most = 65'400;  // with headers still below 64 KiB
  if (core_.device().offloads() && most / mss >= 2) pcb->mss = static_cast<std::uint16_t>(most / mss * mss);
}

void TcpConversation::arrived(pbuf* bytes) {
  const std::size_t size = bytes->tot_len;
  if (inbox_bytes_ == 0) moved_ = core_.now();
  inbox_bytes_ += size;
  core_.to_world_bytes += size;
  unacknowledged_ += static_cast<std::uint32_t>(size);
  if (coalesce(bytes)) {
    pbuf_free(bytes);
    return;
  }
  append(bytes);
}

// tot_len is not kept along the chain; each piece counts by its own len.
void TcpConversation::append(pbuf* bytes) {
  coalescing_ = nullptr;
  (inbox_last_ ? inbox_last_->next : inbox_) = bytes;
  for (;; bytes = bytes->next) {
    ++inbox_pieces_;
    inbox_last_ = bytes;
    if (!bytes->next) break;
  }
}

bool TcpConversation::coalesce(const pbuf* bytes) {
  const std::size_t size = bytes->tot_len;
  if (size > coalesce_limit || (inbox_pieces_ < ample_pieces && inbox_bytes_ < ample_inbox)) return false;
  if (!coalescing_ || coalescing_->used + size > 65'000) {
    auto fresh = core_.buffers().get(MemoryUse::ahead);
    if (!fresh) return false;
    Buffer* raw = fresh.get();
    append(BufferPool::as_pbuf(std::move(fresh), raw->all().first(0)));
    coalescing_ = raw;
  }
  pbuf_copy_partial(bytes, coalescing_->bytes.data() + coalescing_->used, static_cast<u16_t>(size), 0);
  coalescing_->used += static_cast<std::uint32_t>(size);
  inbox_last_->len = static_cast<u16_t>(coalescing_->used);
  return true;
}

int TcpConversation::peek(iovec* pieces, int most) const {
  int count = 0;
  std::uint32_t offset = inbox_offset_;
  for (const pbuf* p = inbox_; p && count < most; p = p->next) {
    if (p->len > offset) pieces[count++] = {static_cast<char*>(p->payload) + offset, p->len - offset};
    offset = 0;
  }
  return count;
}

void TcpConversation::consume(std::size_t bytes) {
  moved_ = core_.now();
  inbox_bytes_ -= bytes;
  core_.to_world_bytes -= bytes;
  const std::size_t consumed = bytes;
  while (inbox_ && bytes >= inbox_->len - inbox_offset_) {
    bytes -= inbox_->len - inbox_offset_;
    inbox_offset_ = 0;
    pbuf* first = inbox_;
    inbox_ = std::exchange(first->next, nullptr);
    if (!inbox_) inbox_last_ = nullptr, coalescing_ = nullptr;
    --inbox_pieces_;
    pbuf_free(first);
  }
  inbox_offset_ += static_cast<std::uint32_t>(bytes);
  if (!alive()) return;

  LwipEntry entry(*this);
  emitted_ = false;
  for (std::size_t left = consumed; left > 0;) {
    const auto step = static_cast<u16_t>(std::min<std::size_t>(left, 65'535));
    tcp_recved(entry.pcb(), step);
    left -= step;
  }
  // lwIP announces only a multiple of what a window without scaling can be.
  tcp_pcb* pcb_now = entry.pcb();
  const std::uint32_t opened = pcb_now->rcv_nxt + pcb_now->rcv_wnd - pcb_now->rcv_ann_right_edge;
  if (!emitted_ && opened >= std::min(TCP_WND_MAX(pcb_now), window()) / 4) {
    tcp_ack_now(pcb_now);
    tcp_output(pcb_now);
  }
  if (emitted_) ack_owed_ = false, unacknowledged_ = 0;
}

void TcpConversation::drop_inbox() {
  core_.to_world_bytes -= inbox_bytes_;
  while (inbox_) {
    pbuf* first = inbox_;
    inbox_ = std::exchange(first->next, nullptr);
    pbuf_free(first);
  }
  inbox_last_ = nullptr;
  coalescing_ = nullptr;
  inbox_bytes_ = inbox_offset_ = inbox_pieces_ = 0;
}

// ---- user to guest

std::size_t TcpConversation::room() const {
  if (!alive() || !established_ || finished_) return 0;
  const std::size_t room = std::min<std::size_t>(tcp_sndbuf(pcb()), queue_room());
  const bool ample = core_.to_guest_bytes <= core_.options().ample_bytes &&
                     core_.memory().has_room(sizeof(Buffer), MemoryUse::ahead);
  if (ample) return room;
  return outbox_bytes_ >= StackCore::share ? 0 : std::min(room, StackCore::share - outbox_bytes_);
}

// tcp_write() fails when the segments that it makes outnumber the queue's places: two for each, header and
// data.
std::size_t TcpConversation::queue_room() const {
  constexpr int kept = 4;  // places: FIN, and what joins the last segment
  const int places = TCP_SND_QUEUELEN - kept - pcb()->snd_queuelen;
  const std::size_t max_by_window = pcb()->snd_wnd_max / 2;  // as tcp_write() has it
  const std::size_t segment =
      max_by_window > 0 ? std::min<std::size_t>(pcb()->mss, max_by_window) : pcb()->mss;
  return places > 0 ? static_cast<std::size_t>(places / 2) * segment : 0;
}

MutableBytes TcpConversation::block(std::size_t at_least) {
  if (outbox_last_ && block_size - outbox_last_->used >= std::max(at_least, worth_filling))
    return outbox_last_->all().subspan(outbox_last_->used, block_size - outbox_last_->used);
  if (!core_.spare_block)
    core_.spare_block = core_.buffers().get(outbox_last_ ? MemoryUse::ahead : MemoryUse::progress);
  if (!core_.spare_block) {
    if (!outbox_last_) core_.lacks_memory();
    core_.watch_timers(*this);  // nothing else tells when there is memory again
    return {};
  }
  return core_.spare_block->all().first(block_size);
}

void TcpConversation::send_block(MutableBytes filled, Next next) {
  if (!outbox_last_ || filled.data() != outbox_last_->bytes.data() + outbox_last_->used) {
    Buffer* fresh = core_.spare_block.release();
    if (!outbox_) moved_ = core_.now();
    (outbox_last_ ? outbox_last_->next : outbox_) = fresh;
    outbox_last_ = fresh;
  }
  outbox_last_->used += static_cast<std::uint32_t>(filled.size());
  outbox_bytes_ += filled.size();
  core_.to_guest_bytes += filled.size();

  LwipEntry entry(*this);
  tcp_pcb* pcb = entry.pcb();
  if (tcp_write(pcb, filled.data(), static_cast<u16_t>(filled.size()), 0) != ERR_OK) {
    entry.abort();  // out of memory: this flow goes, the others live
    core_.touch(*this);
    return;
  }
  core_.watch_timers(*this);
  if (next == Next::end) return;
  if (next == Next::more)
    tcp_nagle_enable(pcb);
  else
    tcp_nagle_disable(pcb);
  emitted_ = false;
  tcp_output(pcb);
  if (emitted_) ack_owed_ = false, unacknowledged_ = 0;
}

void TcpConversation::acknowledged(std::uint16_t bytes) {
  std::size_t left = alive() ? bytes : outbox_bytes_;
  if (left > 0) moved_ = core_.now();
  outbox_bytes_ -= left;
  core_.to_guest_bytes -= left;
  while (outbox_ && (left > 0 || !alive())) {
    const auto step = std::min<std::size_t>(left, outbox_->used - outbox_->released);
    outbox_->released += static_cast<std::uint32_t>(step);
    left -= step;
    if (outbox_->released < outbox_->used) break;
    BufferPtr done(outbox_);
    outbox_ = outbox_->next;
    if (!outbox_) outbox_last_ = nullptr;
  }
}

void TcpConversation::finish() {
  if (finished_ || !alive()) return;
  finished_ = true;
  LwipEntry entry(*this);
  tcp_nagle_disable(entry.pcb());
  tcp_shutdown(entry.pcb(), 0, 1);
  core_.watch_timers(*this);
}

void TcpConversation::abort() {
  if (alive()) LwipEntry(*this).abort();
  core_.touch(*this);
}

void TcpConversation::close() {
  user_ = nullptr;
  if (alive()) {
    LwipEntry entry(*this);
    finished_ = true;
    // RST when the guest sent what nobody read, else FIN (RFC 2525 2.17).
    if (inbox_bytes_ > 0)
      entry.abort();
    else
      tcp_close(entry.pcb());
  }
  drop_inbox();
  if (alive())
    core_.watch_timers(*this);
  else
    end();
}

void TcpConversation::end() {
  user_ = nullptr;
  if (alive()) LwipEntry(*this).abort();
  drop_inbox();
  acknowledged(0);
  core_.remove(*this);
}

// ---- where memory is out

bool TcpConversation::is_stuck_since(Clock::time_point then) const {
  const bool waits = inbox_bytes_ > 0 || outbox_bytes_ > 0;
  return waits ? moved_ <= then : alive() && pcb()->ooseq;
}

// What waits behind a gap comes again; for the rest there is no other way.
void TcpConversation::give_up() {
  if (inbox_bytes_ == 0 && outbox_bytes_ == 0) {
    LwipEntry entry(*this);
    tcp_free_ooseq(entry.pcb());
    return;
  }
  drop_inbox();
  abort();
}

// ---- the end of a batch

void TcpConversation::turn() {
  if (!alive()) acknowledged(0);
  if (user_) user_->turn();
  if (removed()) return;
  if (!alive() && !user_) return end();
  settle_acks();
  if (alive() && (pcb()->unacked || pcb()->unsent || pcb()->ooseq || pcb()->state != ESTABLISHED))
    core_.watch_timers(*this);
}

void TcpConversation::settle_acks() {
  if (!ack_owed_ || !alive()) return;
  if (unacknowledged_ >= std::min<std::uint32_t>(ack_at_once, 2u * segment_size_))
    acknowledge_late();
  else
    core_.owe_ack(*this);
}

void TcpConversation::acknowledge_late() {
  if (!ack_owed_ || !alive()) return;
  ack_owed_ = false;
  unacknowledged_ = 0;
  LwipEntry entry(*this);
  tcp_ack_now(entry.pcb());
  tcp_output(entry.pcb());
}

void TcpConversation::emit(const pbuf* packet) {
  emitted_ = true;
  core_.tcp_output().add(*packet, segment_size_);
}

void TcpConversation::left() { core_.tcp_output().write(); }

}  // namespace nsrun
